internal import COpenSSL

/// OpenSSL's queue of errors, one for each thread. Who meets a failure takes the queue empty, else
/// the next call on this thread, for another connection, would read it as its own.
enum OpenSSLErrors {
    static func clear() { ERR_clear_error() }

    /// The first reason in the queue, in OpenSSL's words; empties the queue.
    static func takeReason() -> String? {
        let code = ERR_get_error()
        defer { ERR_clear_error() }
        guard code != 0, let reason = ERR_reason_error_string(code) else { return nil }
        return String(cString: reason)
    }
}
