/// How an item changes.
enum ItemChange: Int {
    case price, availability, words, category, arrival, cancellation, restoration

    /// Changes that chance decides, in thousandths of an item and day.
    static let perThousandItemsAndDay: Int64 = 150

    static func roll(_ random: inout Xoshiro) -> ItemChange {
        switch random.below(1_000) {
        case ..<450: .price
        case ..<700: .availability
        case ..<940: .words
        case ..<960: .category
        case ..<978: .arrival
        case ..<992: .cancellation
        default: .restoration
        }
    }
}

/// The properties of an item, named as in the dump, where all but two names are hashed.
enum ItemProperty {
    static let category = "categoryid"
    static let available = "available"
    /// 790 is what everybody takes for the price.
    static let price = "790"
    /// Hashed words and numbers.
    static let words = ["283", "888", "112"]

    /// A price as the dump writes numbers.
    static func text(price: Int32) -> String { "n\(price).000" }

    /// What a hashed property says: one to three hashed words, the last property with a number.
    static func words(of property: Int, bits: UInt64) -> String {
        var words = SplitMix(state: bits)
        let first = words.next() % 1_300_000
        switch property {
        case 0: return "\(first) \(words.next() % 1_300_000) \(words.next() % 1_300_000)"
        case 1: return "\(first)"
        default: return "\(first) n\(words.next() % 1_000).000"
        }
    }
}
