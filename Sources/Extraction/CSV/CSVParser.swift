/// A record of a CSV file: its fields one after the other. One is filled again and again.
struct CSVRecord {
    /// All fields' bytes, unquoted.
    var bytes: [UInt8] = []
    /// Where each field ends in `bytes`.
    var ends: [Int] = []
    /// Whether each field was quoted.
    var isQuoted: [Bool] = []
    /// The line on which the record begins, from 1.
    var line = 1

    var count: Int { ends.count }

    /// The bytes of a field.
    func field(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }

    fileprivate mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        isQuoted.removeAll(keepingCapacity: true)
    }
}

/// A line of a CSV file that is not CSV.
struct CSVSyntaxError: Error, Equatable {
    let line: Int
    let reason: String
}

/// Parses RFC 4180 text fed in arbitrary slices: commas, double quotes, LF or CR LF, a UTF-8 byte order mark.
///
/// Blank lines are skipped. Stricter than most: a stray quote, text behind a closing quote and a lone CR are errors, since
/// whoever guesses at them shifts columns.
struct CSVParser {
    /// The longest field, in bytes.
    static let maximumField = 1 << 20
    /// The longest record, in bytes.
    static let maximumRecord = 16 << 20
    /// The most fields of a record.
    static let maximumFields = 2_000

    private enum State {
        /// Before the first byte of a field.
        case fieldStart
        case plain
        case quoted
        /// Behind a quote inside a quoted field: its end, or the first half of a doubled quote.
        case quoteInQuoted
        /// Behind a CR that a LF must follow.
        case carriageReturn
    }

    private var state = State.fieldStart
    private var record = CSVRecord()
    private var fieldStart = 0
    private var isFieldQuoted = false
    private var line = 1
    private var markBytes = 0

    private static let mark: [UInt8] = [0xef, 0xbb, 0xbf]
    private static let comma = UInt8(ascii: ",")
    private static let quote = UInt8(ascii: "\"")
    private static let lineFeed: UInt8 = 0x0a
    private static let carriageReturn: UInt8 = 0x0d

    /// Parses on; `emit` gets each record as it is complete.
    ///
    /// - Throws: `CSVSyntaxError`, and what `emit` throws. The parser is of no use afterwards.
    mutating func feed(_ chunk: ArraySlice<UInt8>, _ emit: (borrowing CSVRecord) throws -> Void) throws {
        var index = chunk.startIndex
        while markBytes < Self.mark.count, index < chunk.endIndex {
            if chunk[index] == Self.mark[markBytes] {
                markBytes += 1
                index += 1
            } else if markBytes == 0 {
                if chunk[index] >= 0xfe { throw error("the file is UTF-16; save it as UTF-8") }
                markBytes = Self.mark.count
            } else {
                throw error("a broken byte order mark")
            }
        }
        while index < chunk.endIndex {
            switch state {
            case .plain, .quoted:
                let end = run(from: index, in: chunk)
                record.bytes.append(contentsOf: chunk[index..<end])
                try requireLimits()
                index = end
                if index < chunk.endIndex {
                    try step(chunk[index], emit)
                    index += 1
                }
            case .fieldStart, .quoteInQuoted, .carriageReturn:
                try step(chunk[index], emit)
                index += 1
            }
        }
    }

    /// Ends the text: a last record without a line end is complete.
    mutating func finish(_ emit: (borrowing CSVRecord) throws -> Void) throws {
        switch state {
        case .quoted: throw CSVSyntaxError(line: record.line, reason: "a quoted field has no end")
        case .carriageReturn: throw error("a carriage return without a line feed")
        case .fieldStart where record.ends.isEmpty: return
        case .fieldStart, .plain, .quoteInQuoted: try endRecord(emit)
        }
    }

    /// Where the ordinary bytes of the present field end.
    private func run(from start: Int, in chunk: ArraySlice<UInt8>) -> Int {
        var index = start
        if case .quoted = state {
            while index < chunk.endIndex, chunk[index] != Self.quote, chunk[index] != Self.lineFeed { index += 1 }
        } else {
            while index < chunk.endIndex {
                let byte = chunk[index]
                if byte == Self.comma || byte == Self.quote || byte == Self.lineFeed || byte == Self.carriageReturn {
                    break
                }
                index += 1
            }
        }
        return index
    }

    private mutating func step(_ byte: UInt8, _ emit: (borrowing CSVRecord) throws -> Void) throws {
        switch (state, byte) {
        case (.quoted, Self.quote): state = .quoteInQuoted
        case (.quoted, _):
            if byte == Self.lineFeed { line += 1 }
            record.bytes.append(byte)
        case (.quoteInQuoted, Self.quote):
            record.bytes.append(byte)
            state = .quoted
        case (.fieldStart, Self.quote):
            isFieldQuoted = true
            state = .quoted
        case (.plain, Self.quote): throw error("a quote inside a field that is not quoted")
        case (.carriageReturn, Self.lineFeed), (.fieldStart, Self.lineFeed), (.plain, Self.lineFeed),
            (.quoteInQuoted, Self.lineFeed):
            try endRecord(emit)
            line += 1
            record.line = line
        case (.carriageReturn, _): throw error("a carriage return without a line feed")
        case (_, Self.comma): try endField()
        case (_, Self.carriageReturn): state = .carriageReturn
        case (.quoteInQuoted, _): throw error("text behind a closing quote")
        case (.fieldStart, _), (.plain, _):
            record.bytes.append(byte)
            state = .plain
        }
    }

    private mutating func endField() throws {
        try requireLimits()
        record.ends.append(record.bytes.count)
        record.isQuoted.append(isFieldQuoted)
        guard record.count < Self.maximumFields else { throw error("more than \(Self.maximumFields) fields") }
        fieldStart = record.bytes.count
        isFieldQuoted = false
        state = .fieldStart
    }

    private mutating func endRecord(_ emit: (borrowing CSVRecord) throws -> Void) throws {
        let isBlank = record.ends.isEmpty && record.bytes.isEmpty && !isFieldQuoted
        if !isBlank {
            record.ends.append(record.bytes.count)
            record.isQuoted.append(isFieldQuoted)
            try requireLimits()
            try emit(record)
        }
        record.clear()
        fieldStart = 0
        isFieldQuoted = false
        state = .fieldStart
    }

    private func requireLimits() throws {
        guard record.bytes.count - fieldStart <= Self.maximumField else {
            throw error("a field of more than \(Self.maximumField) bytes")
        }
        guard record.bytes.count <= Self.maximumRecord else {
            throw error("a record of more than \(Self.maximumRecord) bytes")
        }
    }

    private func error(_ reason: String) -> CSVSyntaxError {
        CSVSyntaxError(line: line, reason: reason)
    }
}
