import FoundationEssentials

/// One value as a line of JSON, its names in their order.
enum JSONLine {
    struct Bucket: Encodable {
        let bucket: String
        let created: String
    }

    static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
        } catch {
            // Texts and whole numbers can always be written.
            return "{}\n"
        }
    }
}
