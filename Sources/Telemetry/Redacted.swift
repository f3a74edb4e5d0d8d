/// A secret that cannot be printed, logged or dumped by accident: a key, a password, a token. Who
/// needs it says `secret`, which is easy to search for.
package struct Redacted<Value: Sendable>: Sendable {
    package let secret: Value
    package init(_ secret: Value) { self.secret = secret }
}

extension Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    /// Without children, so that `dump` and mirrors show nothing.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
