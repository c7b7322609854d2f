package import FeatureModel

/// The lines of a file of items.
package enum BlockList {
    /// The most bytes of a file.
    package static let maximumBytes = 16 << 20

    /// One key a line; blanks around it and what follows a # don't count. A line that is a whole number is that integer and that
    /// text, since nobody says here which of both the items' key is.
    package static func parse(_ text: [UInt8]) -> Set<EntityKeyValue> {
        var items: Set<EntityKeyValue> = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let plain = line.prefix { $0 != UInt8(ascii: "#") }
            let word = plain.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
            guard !word.isEmpty else { continue }
            let text = String(decoding: Array(word), as: UTF8.self)
            items.insert(.text(text))
            if let number = Int64(text) { items.insert(.integer(number)) }
        }
        return items
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}
