import CRocksDB
import OrderedStorage

/// Calls a function of RocksDB's C API, which reports a fault through its last argument.
func rocksCall<Value>(
    _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Value
) throws(StoreFault) -> Value {
    var error: UnsafeMutablePointer<CChar>?
    let value = call(&error)
    guard let error else { return value }
    defer { rocksdb_free(error) }
    throw StoreFault(rocksStatus: String(cString: error))
}

extension StoreFault {
    /// Sorts a fault by the kind that RocksDB's text begins with: the C API gives no more than the
    /// text of `Status::ToString` (util/status.cc), which is "kind: subkind: message".
    package init(rocksStatus text: String) {
        if text.hasPrefix("Corruption") {
            self = .corrupt(text)
        } else if text.contains("No space left on device") || text.contains("Space limit reached") {
            self = .full(text)
        } else if text.hasPrefix("Invalid argument") || text.hasPrefix("Not implemented") {
            self = .misuse(text)
        } else {
            self = .device(text)
        }
    }
}

/// Hands `bytes` to C as a pointer that is never null and a count, for the length of `body`.
func withCBytes<Value>(
    _ bytes: [UInt8], _ body: (UnsafePointer<CChar>, Int) -> Value
) -> Value {
    bytes.withUnsafeBytes { buffer in
        guard let start = buffer.baseAddress else { return "".withCString { body($0, 0) } }
        return body(start.assumingMemoryBound(to: CChar.self), buffer.count)
    }
}

/// Copies what RocksDB lends.
func copyOfBytes(_ start: UnsafePointer<CChar>?, _ count: Int) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: start, count: count))
}
