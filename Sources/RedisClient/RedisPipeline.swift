internal import NIOCore

/// Commands on their way to a server: one flat buffer of RESP, every argument with its length, so any byte may be in it.
///
/// Build with `append`, or on a hot path with `begin` and one `add` an argument.
package struct RedisPipeline: Sendable {
    /// One argument of a command.
    package enum Argument: Sendable {
        case text(String)
        case bytes([UInt8])
        case integer(Int64)
    }

    /// Where a script call lies in the buffer, to send it again with the script's source.
    private struct ScriptCall: Sendable {
        let command: Int
        let script: RedisScript
        let argumentCount: Int
        let rest: Int
        var end: Int
    }

    /// The encoded commands.
    private(set) var buffer = ByteBuffer()
    /// How many commands there are, which is how many replies will come.
    package private(set) var count = 0
    private var missing = 0
    private var scriptCalls: [ScriptCall] = []

    package init() {}

    /// Bytes of the encoded commands.
    package var byteCount: Int { buffer.readableBytes }

    /// A copy of the encoded commands.
    package var bytes: [UInt8] { Array(buffer.readableBytesView) }

    /// Whether every command has the arguments it announced. Only then it can be sent.
    package var isComplete: Bool { missing == 0 }

    /// Reserves room for `bytes` more bytes of commands.
    package mutating func reserve(bytes: Int) {
        buffer.reserveCapacity(minimumWritableBytes: bytes)
    }

    /// Adds a whole command.
    package mutating func append(_ name: StaticString, _ arguments: Argument...) {
        append(name, arguments)
    }

    /// Adds a whole command.
    package mutating func append(_ name: StaticString, _ arguments: [Argument]) {
        begin(name, argumentCount: arguments.count)
        for argument in arguments { add(argument) }
    }

    /// Adds a whole call of a script, which the server may know already.
    package mutating func append(_ script: RedisScript, keys: [String], _ arguments: [Argument]) {
        begin(script, keyCount: keys.count, argumentCount: arguments.count)
        for key in keys { add(key) }
        for argument in arguments { add(argument) }
    }

    /// Begins a command; exactly `argumentCount` calls of `add` must follow.
    package mutating func begin(_ name: StaticString, argumentCount: Int) {
        precondition(missing == 0, "the command before lacks arguments")
        count += 1
        missing = argumentCount + 1
        writeHeader(UInt8(ascii: "*"), argumentCount + 1)
        add(name.description)
    }

    /// Begins a call of a script; `keyCount + argumentCount` calls of `add` must follow, keys first.
    package mutating func begin(_ script: RedisScript, keyCount: Int, argumentCount: Int) {
        begin("EVALSHA", argumentCount: keyCount + argumentCount + 2)
        add(script.digest)
        scriptCalls.append(
            ScriptCall(
                command: count - 1, script: script, argumentCount: keyCount + argumentCount + 2,
                rest: buffer.writerIndex, end: buffer.writerIndex))
        add(Int64(keyCount))
    }

    /// Adds the next argument.
    package mutating func add(_ argument: Argument) {
        switch argument {
        case .text(let text): add(text)
        case .bytes(let bytes): add(bytes[...])
        case .integer(let number): add(number)
        }
    }

    /// Adds the next argument.
    package mutating func add(_ text: String) {
        writeHeader(UInt8(ascii: "$"), text.utf8.count)
        buffer.writeString(text)
        endArgument()
    }

    /// Adds the next argument, in three parts: a row key without a string of its own.
    package mutating func add(_ prefix: String, _ middle: String, _ suffix: String) {
        writeHeader(UInt8(ascii: "$"), prefix.utf8.count + middle.utf8.count + suffix.utf8.count)
        buffer.writeString(prefix)
        buffer.writeString(middle)
        buffer.writeString(suffix)
        endArgument()
    }

    /// Adds the next argument.
    package mutating func add(_ bytes: ArraySlice<UInt8>) {
        writeHeader(UInt8(ascii: "$"), bytes.count)
        buffer.writeBytes(bytes)
        endArgument()
    }

    /// Adds the next argument, in decimal digits.
    package mutating func add(_ number: Int64) {
        guard (0..<1_000_000_000).contains(number) else {
            let digits = String(number)
            writeHeader(UInt8(ascii: "$"), digits.utf8.count)
            buffer.writeString(digits)
            return endArgument()
        }
        // `$9\r\n604800000` in one write: a TTL comes with every row.
        let (digits, length) = Self.decimal(number)
        writeLeading(
            (UInt128(0x24_30 + length) << 16 | UInt128(crlf)) << (8 * length) | digits, bytes: 4 + length)
        endArgument()
    }

    /// The calls of scripts at these positions, this time with the source in them; their positions come back with them.
    /// For `NOSCRIPT`: only what the server did not run is sent again.
    func evaluating(_ commands: Set<Int>) -> (pipeline: RedisPipeline, positions: [Int]) {
        var again = RedisPipeline()
        var positions: [Int] = []
        for call in scriptCalls where commands.contains(call.command) {
            guard let rest = buffer.getSlice(at: call.rest, length: call.end - call.rest) else { continue }
            again.begin("EVAL", argumentCount: call.argumentCount)
            again.add(call.script.source)
            again.buffer.writeImmutableBuffer(rest)
            again.missing = 0
            positions.append(call.command)
        }
        return (again, positions)
    }

    private mutating func endArgument() {
        precondition(missing > 0, "the command has more arguments than it announced")
        buffer.writeInteger(crlf)
        missing -= 1
        if missing == 0, let last = scriptCalls.indices.last, scriptCalls[last].command == count - 1 {
            scriptCalls[last].end = buffer.writerIndex
        }
    }

    /// Writes `*3\r\n` or `$3\r\n`. The digits are written by hand: this runs four times a row.
    private mutating func writeHeader(_ mark: UInt8, _ number: Int) {
        guard (0..<1_000_000_000).contains(number) else {
            buffer.writeInteger(mark)
            buffer.writeString(String(number))
            buffer.writeInteger(crlf)
            return
        }
        let (digits, length) = Self.decimal(Int64(number))
        writeLeading(
            (UInt128(mark) << (8 * length) | digits) << 16 | UInt128(crlf), bytes: 3 + length)
    }

    /// The decimal digits of a number of at most nine, as text in the lowest bytes, and how many they are.
    @inline(__always)
    private static func decimal(_ number: Int64) -> (digits: UInt128, length: Int) {
        var rest = UInt32(truncatingIfNeeded: number)
        var digits = UInt128(0)
        var length = 0
        repeat {
            digits |= UInt128(48 + rest % 10) << (8 * length)
            rest /= 10
            length += 1
        } while rest > 0
        return (digits, length)
    }

    /// Writes the lowest `bytes` bytes of a number, the highest of them first. Each write has a price of its own whatever
    /// its size, so this writes all sixteen and steps back.
    @inline(__always)
    private mutating func writeLeading(_ value: UInt128, bytes: Int) {
        buffer.writeInteger(value << (8 * (16 - bytes)))
        buffer.moveWriterIndex(to: buffer.writerIndex - (16 - bytes))
    }
}

private let crlf: UInt16 = 0x0d0a
