internal import NIOCore

/// Walks over encoded commands, to tell how many keys each of them has.
struct CommandCursor {
    private let commands: ByteBuffer
    private var offset = 0

    init(_ commands: ByteBuffer) {
        self.commands = commands
    }

    /// How many arguments the next command has behind its name; `nil` at the end, and for what is no command.
    mutating func next() -> Int? {
        let start = offset
        let (count, end) = unsafe commands.withUnsafeReadableBytes { bytes -> (Int?, Int) in
            var offset = start
            let count = unsafe Self.skipCommand(bytes, &offset)
            return (count, offset)
        }
        offset = end
        return count
    }

    private static func skipCommand(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) -> Int? {
        guard let count = unsafe header(UInt8(ascii: "*"), bytes, &offset), count > 0 else { return nil }
        for _ in 0..<count {
            guard let length = unsafe header(UInt8(ascii: "$"), bytes, &offset), length <= bytes.count - offset - 2
            else {
                return nil
            }
            offset += length + 2
        }
        return count - 1
    }

    /// The number of `*3\r\n` or `$3\r\n`.
    private static func header(_ mark: UInt8, _ bytes: UnsafeRawBufferPointer, _ offset: inout Int) -> Int? {
        guard offset < bytes.count, unsafe bytes[offset] == mark else { return nil }
        offset += 1
        var number = 0
        while offset < bytes.count {
            let digit = Int(unsafe bytes[offset]) - 48
            guard (0...9).contains(digit), number < 1 << 40 else { break }
            number = number * 10 + digit
            offset += 1
        }
        guard bytes.count - offset >= 2, unsafe bytes[offset] == 13 else { return nil }
        offset += 2
        return number
    }
}
