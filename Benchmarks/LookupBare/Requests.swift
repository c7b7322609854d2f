import Glibc
import NIOCore

/// The commands of a run, encoded before it starts.
struct Requests: Sendable {
    /// As many keys a command as the daemon asks for.
    private static let keysPerCommand = 1_024
    /// Bytes of all requests together: enough for the rows not to stay in Redis' nearest cache.
    private static let totalBytes = 64 << 20

    let batch: Int
    let commands: Int
    let encoded: [ByteBuffer]

    /// Takes the keys in turn, starting over at the end, until each came once.
    init(keys file: ByteBuffer, batch: Int) throws {
        let keys = file.readableBytesView.split(separator: UInt8(ascii: "\n")).map { ByteBuffer(bytes: $0) }
        guard !keys.isEmpty else { throw Failure("the file of keys is empty") }
        self.batch = batch
        commands = (batch + Self.keysPerCommand - 1) / Self.keysPerCommand
        var requests: [ByteBuffer] = []
        var next = 0
        var bytes = 0
        repeat {
            var request = ByteBuffer()
            for index in 0..<batch {
                if index.isMultiple(of: Self.keysPerCommand) {
                    request.writeString("*\(min(Self.keysPerCommand, batch - index) + 1)\r\n$4\r\nMGET\r\n")
                }
                let key = keys[next % keys.count]
                request.writeString("$\(key.readableBytes)\r\n")
                request.writeImmutableBuffer(key)
                request.writeString("\r\n")
                next += 1
            }
            bytes += request.readableBytes
            requests.append(request)
        } while next < keys.count && bytes < Self.totalBytes
        encoded = requests
    }
}

/// Why the benchmark cannot run.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The bytes of a file.
func readFile(_ path: String) throws -> ByteBuffer {
    guard let file = unsafe fopen(path, "rb") else { throw Failure("cannot open \(path)") }
    defer { unsafe fclose(file) }
    var bytes = ByteBuffer()
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe fread(&chunk, 1, chunk.count, file)
        guard count > 0 else { break }
        bytes.writeBytes(chunk[..<count])
    }
    guard unsafe ferror(file) == 0 else { throw Failure("cannot read \(path)") }
    return bytes
}
