import Glibc
import RetailRocket
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CSVReaderTests {
    /// Reads a text to its end; fields of a row joined by `|`, bad records as `!lines reason`.
    private func read(_ bytes: [UInt8], recordLimit: Int = 1 << 20, bufferSize: Int = 1 << 18) async throws -> [String]
    {
        try await withFolder { folder in
            let path = folder + "/a.csv"
            try write(bytes, to: path)
            var reader = try CSVReader(path: path, recordLimit: recordLimit, bufferSize: bufferSize)
            var records: [String] = []
            while true {
                switch try reader.next() {
                case .end:
                    #expect(reader.byteCount == bytes.count)
                    return records
                case .bad(let reason, let lines): records.append("\(reader.line):!\(lines) \(reason)")
                case .row:
                    let fields = (0..<reader.fieldCount).map { String(decoding: reader.field($0), as: UTF8.self) }
                    records.append("\(reader.line):" + fields.joined(separator: "|"))
                }
            }
        }
    }

    private func read(_ text: String) async throws -> [String] { try await read(Array(text.utf8)) }

    @Test(
        arguments: [
            ("", []),
            ("a,b", ["1:a|b"]),
            ("a,b\n", ["1:a|b"]),
            ("a,b\r\nc,d\r\n", ["1:a|b", "2:c|d"]),
            ("a,b\r\nc,d\r", ["1:a|b", "2:c|d"]),
            ("\u{FEFF}a,b\nc,d", ["1:a|b", "2:c|d"]),
            ("\u{FEFF}", []),
            ("\n\na\n\r\n\nb", ["3:a", "6:b"]),
            ("a,\n,b\n,\n", ["1:a|", "2:|b", "3:|"]),
            ("\"\"\n", ["1:"]),
            ("\"\"", ["1:"]),
            ("\"a,b\",c", ["1:a,b|c"]),
            ("\"a \"\"x\"\" b\"\n", ["1:a \"x\" b"]),
            ("\"a\nb\r\nc\",d\ne", ["1:a\nb\r\nc|d", "4:e"]),
            ("\"a\"\r\n\"b\"", ["1:a", "2:b"]),
            ("a,\"\"", ["1:a|"]),
            ("日本,é\n", ["1:日本|é"]),
            ("a,b\"c\nd,e", ["1:!1 a quote inside a field that does not begin with one", "2:d|e"]),
            ("\"a\"b,c\nd", ["1:!1 text behind a closing quote", "2:d"]),
            ("a\rb\nc", ["1:!1 a carriage return without a line feed", "2:c"]),
            ("a\n\"b\nc\nd", ["1:a", "2:!3 a quote that is never closed"]),
        ] as [(String, [String])])
    func readsRFC4180(text: String, records: [String]) async throws {
        let found = try await read(text)
        #expect(found == records)
    }

    /// Every split of the input between two reads gives the same records.
    @Test func recordsDoNotDependOnTheBuffer() async throws {
        let bytes = Array("\u{FEFF}a,\"b\"\"\n\",c\r\n\r\n\"x\"y\n\"\",\r\nlast,é".utf8)
        let whole = try await read(bytes)
        #expect(whole.count == 4)
        for size in 1...bytes.count {
            let found = try await read(bytes, bufferSize: size)
            #expect(found == whole, "buffer of \(size) bytes")
        }
    }

    @Test func recordsEndAtTheLimit() async throws {
        let fits = String(repeating: "x", count: 100)
        let found = try await read(Array("\(fits)\n\(fits)y\n\"\(fits)\n\(fits)\n\"\nz".utf8), recordLimit: 100)
        #expect(
            found == [
                "1:" + fits, "2:!1 more than 100 bytes", "3:!1 more than 100 bytes", "4:" + fits,
                "5:!2 a quote that is never closed",
            ])
        let wide = String(repeating: ",", count: CSVReader.fieldLimit - 1)
        let wider = try await read("\(wide)\n\(wide),\nz")
        #expect(wider == ["1:" + String(repeating: "|", count: 63), "2:!1 more than 64 fields", "3:z"])
    }

    @Test func anyBytesAreReadToTheEnd() async throws {
        let seed: UInt64 = 20_150_503
        print("seed \(seed)")
        var random = Xoshiro(seed: seed)
        let alphabet: [UInt8] = [0x2c, 0x22, 0x0a, 0x0d, 0x61, 0xff, 0x00, 0x0a, 0x22]
        for _ in 0..<300 {
            let bytes = (0..<Int(random.next() % 60)).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] }
            let small = try await read(bytes, recordLimit: 8, bufferSize: 1)
            let large = try await read(bytes, recordLimit: 8)
            #expect(small == large, "\(bytes)")
        }
    }

    @Test func whatIsNoFileIsRefused() async throws {
        try await withFolder { folder in
            let pipe = folder + "/pipe"
            #expect(unsafe mkfifo(pipe, 0o600) == 0)
            for path in [folder, pipe, folder + "/none", "/dev/zero"] {
                let error = #expect(throws: RetailError.self) { _ = try CSVReader(path: path).fieldCount }
                #expect(error?.code == .inputOutput, "\(path)")
            }
        }
    }

    @Test(
        arguments: [
            ("0", 0), ("-5", -5), ("9223372036854775807", .max), ("9223372036854775808", nil), ("", nil), ("-", nil),
            ("1 ", nil), ("+1", nil), ("1e3", nil), ("99999999999999999999999", nil), ("007", 7),
        ] as [(String, Int64?)])
    func numbersAreExactOrNone(text: String, number: Int64?) {
        #expect(Array(text.utf8)[...].decimal == number)
    }
}
