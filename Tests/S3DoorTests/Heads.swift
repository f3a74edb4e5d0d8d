import HTTPSyntax
import ObjectExchange
import S3Door

/// The head of a request from its text, as the transport reads it.
func parsedHead(_ text: String) -> RequestHead? {
    var parser = RequestParser()
    let outcome = Array(text.utf8).withUnsafeBytes { parser.parse($0) }
    guard case .head(let head, _) = outcome else { return nil }
    return head
}

/// A head with these fields beside Host.
func parsedHead(_ method: String, _ target: String, _ fields: [(String, String)] = [])
    -> RequestHead?
{
    let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
    return parsedHead("\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n\(lines)\r\n")
}

/// What a call gave, a refusal told by its code.
func code<Value>(of work: () throws(S3Refusal) -> Value) -> String? {
    do throws(S3Refusal) {
        _ = try work()
        return nil
    } catch {
        return error.code
    }
}
