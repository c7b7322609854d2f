package import FeatureModel

/// The items of an artifact, ascending: the dictionary between ids and dense indexes.
package enum ItemIDs: Sendable, Hashable {
    case integers([Int64])
    /// All texts (UTF-8) one behind the other; the text of item i ends where that of i + 1 begins.
    case texts(starts: [UInt32], bytes: [UInt8])
    /// As `texts`, of any bytes.
    case blobs(starts: [UInt32], bytes: [UInt8])

    /// How many items there are.
    package var count: Int {
        switch self {
        case .integers(let ids): ids.count
        case .texts(let starts, _), .blobs(let starts, _): max(0, starts.count - 1)
        }
    }

    /// The id of an item.
    package subscript(_ index: Int) -> EntityKeyValue {
        switch self {
        case .integers(let ids): .integer(ids[index])
        case .texts(let starts, let bytes):
            .text(String(decoding: bytes[Int(starts[index])..<Int(starts[index + 1])], as: UTF8.self))
        case .blobs(let starts, let bytes): .bytes(Array(bytes[Int(starts[index])..<Int(starts[index + 1])]))
        }
    }

    /// The item of that id; `nil` where there is none. Takes the logarithm of the count.
    package func index(of id: EntityKeyValue) -> Int? {
        switch (self, id) {
        case (.integers(let ids), .integer(let id)):
            Self.search(ids.count) { ids[$0] < id ? -1 : ids[$0] == id ? 0 : 1 }
        case (.texts(let starts, let bytes), .text(let id)): Self.search(starts, bytes, Array(id.utf8))
        case (.blobs(let starts, let bytes), .bytes(let id)): Self.search(starts, bytes, id)
        case (.integers, _), (.texts, _), (.blobs, _): nil
        }
    }

    private static func search(_ starts: [UInt32], _ bytes: [UInt8], _ id: [UInt8]) -> Int? {
        search(max(0, starts.count - 1)) { compare(bytes[Int(starts[$0])..<Int(starts[$0 + 1])], id[...]) }
    }

    /// `order` tells whether the item lies before (below 0) what is sought, is it (0), or lies behind it.
    private static func search(_ count: Int, _ order: (Int) -> Int) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = low + (high - low) / 2
            let found = order(middle)
            if found == 0 { return middle }
            if found < 0 { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// Below 0, 0 or above it, as the first lies before, is, or lies behind the second.
    static func compare(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Int {
        for (a, b) in zip(left, right) where a != b { return a < b ? -1 : 1 }
        return left.count - right.count
    }

    /// Of ids that are all of one kind. They need not be in order, and are kept as they come.
    init(_ ids: [EntityKeyValue], _ type: EntityKeyType) {
        switch type {
        case .int32, .int64:
            self = .integers(
                ids.map { id in
                    guard case .integer(let number) = id else { return 0 }
                    return number
                })
        case .string, .bytes:
            var starts: [UInt32] = [0]
            var bytes: [UInt8] = []
            for id in ids {
                switch id {
                case .text(let text): bytes += Array(text.utf8)
                case .bytes(let blob): bytes += blob
                case .integer: break
                }
                starts.append(UInt32(clamping: bytes.count))
            }
            self = type == .string ? .texts(starts: starts, bytes: bytes) : .blobs(starts: starts, bytes: bytes)
        }
    }

    /// What is wrong with them, if anything: they must ascend, and texts be UTF-8.
    var fault: String? {
        switch self {
        case .integers(let ids):
            for index in ids.indices.dropFirst() where ids[index - 1] >= ids[index] { return "ids don't ascend" }
        case .texts(let starts, let bytes), .blobs(let starts, let bytes):
            guard starts.first == 0, Int(starts[starts.count - 1]) == bytes.count else { return "ids have no ends" }
            for index in starts.indices.dropFirst() where starts[index - 1] > starts[index] {
                return "ids have no ends"
            }
            for index in 1..<max(1, starts.count - 1) {
                let before = bytes[Int(starts[index - 1])..<Int(starts[index])]
                guard Self.compare(before, bytes[Int(starts[index])..<Int(starts[index + 1])]) < 0 else {
                    return "ids don't ascend"
                }
            }
            guard case .texts = self else { return nil }
            for index in 0..<max(0, starts.count - 1) {
                let text = bytes[Int(starts[index])..<Int(starts[index + 1])]
                guard String(validating: text, as: UTF8.self) != nil else { return "an id is not UTF-8" }
            }
        }
        return nil
    }
}
