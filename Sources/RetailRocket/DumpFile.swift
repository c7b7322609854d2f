import Glibc

/// The files of the dump, and what is read out of their rows.
enum DumpFile: String, CaseIterable {
    case categoryTree = "category_tree.csv"
    case events = "events.csv"
    case itemProperties1 = "item_properties_part1.csv"
    case itemProperties2 = "item_properties_part2.csv"

    /// The columns, in the order in which `DumpRow` takes them; a file may have them in another.
    var columns: [String] {
        switch self {
        case .categoryTree: ["categoryid", "parentid"]
        case .events: ["timestamp", "visitorid", "event", "itemid", "transactionid"]
        case .itemProperties1, .itemProperties2: ["timestamp", "itemid", "property", "value"]
        }
    }

    /// Checks that all files are there, and names all that are not.
    static func check(folder: String) throws(RetailError) {
        let missing = allCases.filter { unsafe access($0.path(in: folder), R_OK) != 0 }
        guard missing.isEmpty else {
            throw RetailError(
                .notFound, "files of the dump are missing",
                detail: "\(missing.map(\.rawValue).joined(separator: ", ")) in \(folder)")
        }
    }

    func path(in folder: String) -> String { "\(folder)/\(rawValue)" }

    /// The size in bytes, for progress; 0 if it cannot be told.
    func size(in folder: String) -> Int {
        var status = stat()
        return unsafe stat(path(in: folder), &status) == 0 ? Int(status.st_size) : 0
    }
}

/// Why a row of the dump is not taken.
struct DumpProblem: Error {
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}

/// A row's fields by column, as its file's header orders them.
struct DumpColumns {
    private let names: [String]
    private let places: [Int]
    private let width: Int

    /// Reads the header, which must hold every column once.
    init(_ file: DumpFile, header reader: borrowing CSVReader) throws(RetailError) {
        let found = (0..<reader.fieldCount).map { String(decoding: reader.field($0), as: UTF8.self) }
        names = file.columns
        width = found.count
        places = names.compactMap { found.firstIndex(of: $0) }
        guard places.count == names.count, Set(found).count == found.count else {
            throw RetailError(
                .badData, "a file's header is not the dump's",
                detail: """
                    \(reader.path):\(reader.line): expected \(names.joined(separator: ",")), \
                    found \(found.joined(separator: ",").prefix(200))
                    """)
        }
    }

    func check(_ reader: borrowing CSVReader) throws(DumpProblem) {
        guard reader.fieldCount == width else {
            throw DumpProblem("expected \(width) fields, found \(reader.fieldCount)")
        }
    }

    func isEmpty(_ column: Int, _ reader: borrowing CSVReader) -> Bool { reader.field(places[column]).isEmpty }

    /// A number that is not negative.
    func number(_ column: Int, _ reader: borrowing CSVReader) throws(DumpProblem) -> Int64 {
        guard let number = reader.field(places[column]).decimal, number >= 0 else {
            throw DumpProblem("\(names[column]) is not a number: \(excerpt(column, reader))")
        }
        return number
    }

    /// Milliseconds since 1970, up to the year 9999.
    func time(_ column: Int, _ reader: borrowing CSVReader) throws(DumpProblem) -> Int64 {
        let time = try number(column, reader)
        guard time <= 253_402_300_799_999 else {
            throw DumpProblem("\(names[column]) is not in milliseconds: \(excerpt(column, reader))")
        }
        return time
    }

    func text(_ column: Int, _ reader: borrowing CSVReader) throws(DumpProblem) -> String {
        let bytes = reader.field(places[column])
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw DumpProblem("\(names[column]) is not UTF-8 text")
        }
        return text
    }

    private func excerpt(_ column: Int, _ reader: borrowing CSVReader) -> String {
        "'\(String(decoding: reader.field(places[column]).prefix(40), as: UTF8.self))'"
    }
}
