import Glibc

/// Reads a CSV file (RFC 4180) record by record, with one buffer's memory however large the file is.
///
/// Quoted fields may hold commas, line breaks and doubled quotes; lines end with LF or CRLF; a byte order mark is skipped; so
/// are empty lines. A record that breaks the rules is handed out as `bad`, and reading goes on behind its line.
package struct CSVReader: ~Copyable {
    /// What `next` found.
    package enum Record: Equatable, Sendable {
        /// The fields are in `field`.
        case row
        /// What is wrong, and how many lines are lost with it.
        case bad(reason: String, lines: Int)
        case end
    }

    private enum State {
        case fieldStart, plain, quoted, quoteInQuoted, carriageReturn, skipping
    }

    let path: String
    /// Bytes of a record's content, at most.
    let recordLimit: Int
    /// Fields of a record, at most.
    package static let fieldLimit = 64

    private let descriptor: Int32
    private var buffer: [UInt8]
    private var position = 0
    private var filled = 0
    private var atEnd = false
    private var lineNumber = 1

    private var content: [UInt8] = []
    private var ends: [Int] = []

    /// The line on which the present record began, from 1.
    package private(set) var line = 1
    /// Bytes read so far.
    package private(set) var byteCount = 0

    /// Opens the file.
    package init(path: String, recordLimit: Int = 1 << 20, bufferSize: Int = 1 << 18) throws(RetailError) {
        self.path = path
        self.recordLimit = recordLimit
        buffer = Array(repeating: 0, count: max(1, bufferSize))
        // A pipe without a writer must not block.
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure("cannot open a file", path) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw RetailError(.inputOutput, "not a regular file", detail: path)
        }
        try skipByteOrderMark()
    }

    deinit { close(descriptor) }

    /// Fields of the present row.
    package var fieldCount: Int { ends.count }

    /// The bytes of a field of the present row, from 0.
    package func field(_ index: Int) -> ArraySlice<UInt8> {
        content[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }

    /// Goes to the next record.
    package mutating func next() throws(RetailError) -> Record {
        while true {
            content.removeAll(keepingCapacity: true)
            ends.removeAll(keepingCapacity: true)
            line = lineNumber
            let record = try read()
            // An empty line is one empty field that was not quoted.
            if record == .row, ends.isEmpty { continue }
            return record
        }
    }

    private mutating func read() throws(RetailError) -> Record {
        var state = State.fieldStart
        var problem: String?
        var wasQuoted = false
        while let byte = try nextByte() {
            if byte == 0x0a { lineNumber += 1 }
            switch state {
            case .skipping:
                if byte == 0x0a { return .bad(reason: problem ?? "", lines: lineNumber - line) }
                continue
            case .quoted:
                if byte == 0x22 { state = .quoteInQuoted } else { content.append(byte) }
            case .carriageReturn:
                if byte == 0x0a { return finish(wasQuoted) }
                problem = "a carriage return without a line feed"
            case .fieldStart where byte == 0x22:
                state = .quoted
                wasQuoted = true
            case .quoteInQuoted where byte == 0x22:
                content.append(byte)
                state = .quoted
            case .fieldStart, .plain, .quoteInQuoted:
                switch byte {
                case 0x2c:
                    ends.append(content.count)
                    state = .fieldStart
                    wasQuoted = true
                case 0x0a: return finish(wasQuoted)
                case 0x0d: state = .carriageReturn
                case 0x22: problem = "a quote inside a field that does not begin with one"
                default:
                    if state == .quoteInQuoted { problem = "text behind a closing quote" }
                    content.append(byte)
                    state = .plain
                }
            }
            if content.count > recordLimit { problem = "more than \(recordLimit) bytes" }
            if ends.count >= Self.fieldLimit { problem = "more than \(Self.fieldLimit) fields" }
            guard let problem else { continue }
            if byte == 0x0a { return .bad(reason: problem, lines: lineNumber - line) }
            state = .skipping
        }
        return finishAtEnd(state, problem, wasQuoted)
    }

    private mutating func finishAtEnd(_ state: State, _ problem: String?, _ wasQuoted: Bool) -> Record {
        switch state {
        case .skipping: return .bad(reason: problem ?? "", lines: max(1, lineNumber - line + 1))
        case .quoted: return .bad(reason: "a quote that is never closed", lines: lineNumber - line + 1)
        case .fieldStart, .plain, .quoteInQuoted, .carriageReturn:
            if ends.isEmpty, content.isEmpty, !wasQuoted { return .end }
            return finish(wasQuoted)
        }
    }

    private mutating func finish(_ wasQuoted: Bool) -> Record {
        if !ends.isEmpty || !content.isEmpty || wasQuoted { ends.append(content.count) }
        return .row
    }

    private mutating func nextByte() throws(RetailError) -> UInt8? {
        if position == filled {
            try fill()
            if filled == 0 { return nil }
        }
        let byte = buffer[position]
        position += 1
        return byte
    }

    private mutating func fill() throws(RetailError) {
        position = 0
        filled = 0
        while !atEnd {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure("cannot read a file", path) }
            filled = count
            byteCount += count
            atEnd = count == 0
            return
        }
    }

    private mutating func skipByteOrderMark() throws(RetailError) {
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        var start: [UInt8] = []
        // Byte by byte: a tiny buffer may hold less than the mark.
        while start.count < mark.count, let byte = try nextByte() {
            start.append(byte)
            if start.last != mark[start.count - 1] { break }
        }
        if start == mark { return }
        // Not a mark: hand the bytes out again.
        buffer.replaceSubrange(0..<position, with: start)
        filled += start.count - position
        position = 0
    }

    private static func failure(_ message: StaticString, _ path: String) -> RetailError {
        RetailError(.inputOutput, message, detail: unsafe "\(path): \(String(cString: strerror(errno)))")
    }
}

extension ArraySlice<UInt8> {
    /// The decimal number these bytes spell, and nothing else around it.
    package var decimal: Int64? {
        guard !isEmpty, count <= 20 else { return nil }
        let isNegative = first == 0x2d
        let digits = isNegative ? dropFirst() : self
        guard !digits.isEmpty else { return nil }
        var value: Int64 = 0
        for byte in digits {
            guard (0x30...0x39).contains(byte) else { return nil }
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = shifted.addingReportingOverflow(Int64(byte - 0x30))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return isNegative ? -value : value
    }
}
