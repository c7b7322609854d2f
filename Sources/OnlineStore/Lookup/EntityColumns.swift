package import FeatureModel
import RowCodec

/// The entities of one request, column by column: no string and no box per entity.
///
/// Values are appended to a column one after the other; the n-th values of all columns belong together. Whether all
/// columns are equally long is checked when keys are made of them (`LookupKeys`).
package struct EntityColumns: Sendable {
    /// Values of one kind.
    enum Values: Sendable {
        case none
        case integers([Int64])
        /// UTF-8, one text behind the other, and where each ends.
        case texts([UInt8], ends: [Int])
        case bytes([UInt8], ends: [Int])

        var count: Int {
            switch self {
            case .none: 0
            case .integers(let numbers): numbers.count
            case .texts(_, let ends), .bytes(_, let ends): ends.count
            }
        }
    }

    /// One column.
    struct Column: Sendable {
        let name: String
        var values = Values.none
    }

    /// The most bytes of text that a column takes.
    package static let maximumTextBytes = 64 << 20

    private(set) var columns: [Column] = []

    package init() {}

    /// Entities as key column → value, all with the same columns; those of the first decide.
    ///
    /// - Throws: when the values of a column are of different kinds.
    package init(_ entities: [[String: EntityKeyValue]]) throws(LookupError) {
        for (row, values) in entities.enumerated() {
            for (name, value) in values.sorted(by: { $0.key < $1.key }) {
                let index = column(name)
                let isTaken =
                    switch value {
                    case .integer(let number): append(number, to: index)
                    case .text(let text): append(text: text, to: index)
                    case .bytes(let bytes): append(bytes: bytes, to: index)
                    }
                guard isTaken else { throw LookupError("entity \(row): \(name) is not of the kind of those before") }
            }
            for column in columns where column.values.count != row + 1 {
                throw LookupError("entity \(row) has no \(column.name)")
            }
        }
    }

    /// The names of the columns, in the order of the request.
    package var names: [String] { columns.map(\.name) }

    /// How many columns there are.
    package var columnCount: Int { columns.count }

    /// How many entities there are: the values of the first column.
    package var count: Int { columns.first?.values.count ?? 0 }

    /// How many values a column has.
    package func count(of column: Int) -> Int { columns[column].values.count }

    /// The index of the column of that name, which is added if it is new.
    package mutating func column(_ name: String) -> Int {
        if let index = columns.firstIndex(where: { $0.name == name }) { return index }
        columns.append(Column(name: name))
        return columns.count - 1
    }

    /// The index of the column of that name; `nil` when there is none.
    package func index(ofColumn name: UnsafeRawBufferPointer) -> Int? {
        columns.firstIndex { unsafe $0.name.utf8.elementsEqual(name) }
    }

    /// Adds a whole column of integers.
    package mutating func add(_ name: String, integers: [Int64]) {
        columns.append(Column(name: name, values: .integers(integers)))
    }

    /// Adds a whole column of texts: one behind the other in `texts`, and where each ends.
    ///
    /// - Throws: `wrongRequest` when a text is not UTF-8 or the ends don't rise up to the number of bytes.
    package mutating func add(_ name: String, texts: [UInt8], ends: [Int]) throws(LookupError) {
        try Self.check(name, texts, ends)
        let isPlain = unsafe texts.withUnsafeBytes { unsafe TextScan.classify($0) == .plain }
        if !isPlain {
            var start = 0
            for (entity, end) in ends.enumerated() {
                let text = start..<end
                let kind = unsafe texts.withUnsafeBytes {
                    unsafe TextScan.classify(UnsafeRawBufferPointer(rebasing: $0[text]))
                }
                guard kind != .invalid else { throw LookupError("entity \(entity): \(name) is not UTF-8") }
                start = end
            }
        }
        columns.append(Column(name: name, values: .texts(texts, ends: ends)))
    }

    /// Adds a whole column of bytes: one value behind the other in `bytes`, and where each ends.
    ///
    /// - Throws: `wrongRequest` when the ends don't rise up to the number of bytes.
    package mutating func add(_ name: String, bytes: [UInt8], ends: [Int]) throws(LookupError) {
        try Self.check(name, bytes, ends)
        columns.append(Column(name: name, values: .bytes(bytes, ends: ends)))
    }

    private static func check(_ name: String, _ bytes: [UInt8], _ ends: [Int]) throws(LookupError) {
        var start = 0
        for end in ends {
            guard end >= start else { throw LookupError("the values of \(name) overlap") }
            start = end
        }
        guard start == bytes.count, start <= maximumTextBytes else {
            throw LookupError("the values of \(name) are over \(maximumTextBytes) bytes or not what their ends say")
        }
    }

    /// Appends an integer. `false` when the column holds something else.
    package mutating func append(_ number: Int64, to column: Int) -> Bool {
        switch columns[column].values {
        case .none:
            columns[column].values = .integers([number])
        case .integers(var numbers):
            columns[column].values = .none
            numbers.append(number)
            columns[column].values = .integers(numbers)
        default: return false
        }
        return true
    }

    /// Appends a text. `false` when the column holds something else or too much, or when it is not UTF-8.
    package mutating func append(text: UnsafeRawBufferPointer, to column: Int) -> Bool {
        guard unsafe TextScan.classify(text) != .invalid else { return false }
        switch columns[column].values {
        case .none:
            columns[column].values = unsafe .texts([UInt8](text), ends: [(text.count)])
        case .texts(var bytes, var ends):
            guard bytes.count + text.count <= Self.maximumTextBytes else { return false }
            columns[column].values = .none
            unsafe bytes.append(contentsOf: text)
            ends.append((bytes.count))
            columns[column].values = .texts(bytes, ends: ends)
        default: return false
        }
        return true
    }

    /// Appends a text. `false` when the column holds something else or too much.
    package mutating func append(text: String, to column: Int) -> Bool {
        unsafe Array(text.utf8).withUnsafeBytes { unsafe append(text: $0, to: column) }
    }

    /// Appends bytes. `false` when the column holds something else or too much.
    package mutating func append(bytes: [UInt8], to column: Int) -> Bool {
        switch columns[column].values {
        case .none:
            columns[column].values = .bytes(bytes, ends: [(bytes.count)])
        case .bytes(var all, var ends):
            guard all.count + bytes.count <= Self.maximumTextBytes else { return false }
            columns[column].values = .none
            all += bytes
            ends.append((all.count))
            columns[column].values = .bytes(all, ends: ends)
        default: return false
        }
        return true
    }
}
