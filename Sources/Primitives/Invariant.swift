/// Stops the process when something that must always hold does not.
///
/// Stays in release builds, with its message (`precondition` loses it there): a node that has left
/// the states we thought of must not go on writing.
@inline(__always)
public func invariant(
    _ holds: @autoclosure () -> Bool, _ message: @autoclosure () -> String,
    file: StaticString = #fileID, line: UInt = #line
) {
    if !holds() { brokenInvariant(message(), file: file, line: line) }
}

/// The place that cannot be reached.
@inline(never)
public func brokenInvariant(
    _ message: String, file: StaticString = #fileID, line: UInt = #line
) -> Never {
    fatalError("broken invariant: \(message)", file: file, line: line)
}
