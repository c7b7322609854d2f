import TidemarkTesting

/// Changes bytes as clients, networks and attackers do: by the byte, by the piece, and by the structure.
struct Mutator {
    var random: SeededGenerator

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    /// Pieces of JSON that parsers fall over.
    static let json: [[UInt8]] =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "\\udc00\\ud800", "\\u0000", "\\u00", "0", "-",
            "-0", "1e5",
            ".", "e", "1e999", "-1e999", "9007199254740993", "9223372036854775807", "9223372036854775808",
            "-9223372036854775809", "184467440737095516150", "0.1", "00", "+1", "0x10", "1.", ".5", "1e", "NaN",
            "Infinity",
            "-Infinity", "true", "false", "null", "nul", " ", "\n", "\t", "\u{0C}", "//", "/**/", "'", "\u{FEFF}", "{}",
            "[]",
            "[[]]", "\"\"", "\"a\"", "\"user_id\":", "\"features\":", "\"entities\":", "\"df\":", "\"ages\":true",
            "\"full_feature_names\":1", "\"feature_service\":null", "\"service\":\"everything\"", "__proto__",
            "\"1970-01-01T00:00:00Z\"", "\"9999-12-31T23:59:59.999999999+23:59\"", "\"-1-00-00\"", "\"AAE\"",
            "\"====\"", "*", "{user}:*",
            "\"\\ud83d\\ude00\"", "🦉", "\u{202E}",
        ].map { Array($0.utf8) } + [
            [0], [0x1F], [0x7F], [0x80], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF],
            [0xFE, 0xFF],
        ]

    /// Pieces of HTTP that parsers fall over.
    static let http: [[UInt8]] =
        [
            "\r\n", "\n", "\r", "\r\n\r\n", "\n\n", " ", "\t", ":", ": ", ";", ",", "\"", "HTTP/1.1", "HTTP/1.0",
            "HTTP/0.9", "HTTP/2.0",
            "HTTP/3.7", "http/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET ", "POST ", "CONNECT ", "TRACE ",
            "OPTIONS * ", "get ",
            "content-length: 0\r\n", "content-length: 5\r\n", "content-length: +5\r\n", "content-length:  5 \r\n",
            "content-length: 0x5\r\n", "content-length: -1\r\n", "content-length: 5, 5\r\n",
            "content-length: 5\r\ncontent-length: 6\r\n",
            "content-length: 99999999999999999999\r\n", "content-length: 18446744073709551616\r\n",
            "transfer-encoding: chunked\r\n", "transfer-encoding: xchunked\r\n",
            "transfer-encoding: chunked, identity\r\n",
            "transfer-encoding : chunked\r\n", "transfer-encoding:\u{0B}chunked\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n", "5\r\nhello\r\n", "5;ext=1\r\nhello\r\n",
            "FFFFFFFFFFFFFFFFF\r\n", "-1\r\n",
            "0x5\r\n", "00000000000005\r\nhello\r\n", "expect: 100-continue\r\n", "expect: tea\r\n", "upgrade: h2c\r\n",
            "upgrade: websocket\r\n",
            "connection: close\r\n", "connection: keep-alive\r\n", "connection: upgrade\r\n", "host: a\r\n",
            "host: a\r\nhost: b\r\n",
            "host: [::1\r\n", "content-encoding: gzip\r\n", "content-encoding: identity\r\n",
            "content-type: application/xml\r\n",
            "x-request-timeout-ms: 0\r\n", "x-request-timeout-ms: 5\r\n", "x-request-timeout-ms: -1\r\n",
            "x-request-timeout-ms: 1e3\r\n",
            "x-request-timeout-ms: 99999999999999999999\r\n", "x-request-id: a b\r\n", "x-request-id: \u{7F}\r\n",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n", "traceparent: ff-\r\n",
            "authorization: Bearer \r\n",
            "authorization: Bearer a\r\nauthorization: Bearer b\r\n", "accept: application/openmetrics-text\r\n",
            " folded\r\n",
            "\tfolded\r\n", ": empty\r\n", "a\r\n", "x: \u{0}\r\n", "/v1/lookup", "/get-online-features", "/push",
            "/metrics", "/readyz?verbose",
            "/openapi.json", "//v1/lookup", "/v1/lookup/../push", "/%76%31/lookup", "/v1/lookup%00",
            "/..;/admin/v1/status",
            "http://127.0.0.1:6567/admin/v1/status", "*", "?", "#", "%", "%zz", "é",
        ].map { Array($0.utf8) } + [[0], [0x80], [0xFF], [0x0D], [0x0B]]

    /// Changes `bytes` in place, up to `times` times. `others` are what parts are spliced from.
    mutating func mutate(_ bytes: inout [UInt8], _ pieces: [[UInt8]], times: Int, others: [[UInt8]]) {
        for _ in 0..<random.below(times + 1) {
            let place = random.below(bytes.count + 1)
            switch random.below(10) {
            case 0: if place < bytes.count { bytes.remove(at: place) }
            case 1, 2: bytes.insert(contentsOf: random.pick(pieces), at: place)
            case 3: if place < bytes.count { bytes[place] = UInt8(truncatingIfNeeded: random.next()) }
            case 4: if place < bytes.count { bytes[place] ^= 1 << UInt8(random.below(8)) }
            case 5: bytes.removeSubrange(place..<min(bytes.count, place + random.below(40)))
            case 6:
                let part = Array(bytes[place..<min(bytes.count, place + random.below(200))])
                bytes.insert(contentsOf: part, at: random.below(bytes.count + 1))
            case 7: splice(&bytes, at: place, from: random.pick(others))
            case 8: replaceWord(&bytes, near: place, pieces)
            default: if random.below(8) == 0 { bytes.removeSubrange(place...) }
            }
        }
        if random.below(2_000) == 0 { grow(&bytes, pieces) }
    }

    private mutating func splice(_ bytes: inout [UInt8], at place: Int, from other: [UInt8]) {
        guard !other.isEmpty else { return }
        let start = random.below(other.count)
        let part = other[start..<min(other.count, start + 1 + random.below(120))]
        bytes.replaceSubrange(place..<min(bytes.count, place + random.below(120)), with: part)
    }

    /// Puts a piece where a whole value or name stood.
    private mutating func replaceWord(_ bytes: inout [UInt8], near place: Int, _ pieces: [[UInt8]]) {
        func isEdge(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"),
                UInt8(ascii: "}"), UInt8(ascii: "\r"), UInt8(ascii: "\n"), UInt8(ascii: " "):
                true
            default: false
            }
        }
        guard place < bytes.count else { return }
        let end = bytes[place...].firstIndex(where: isEdge) ?? bytes.count
        let start = bytes[..<place].lastIndex(where: isEdge).map { $0 + 1 } ?? 0
        guard start < end else { return }
        bytes.replaceSubrange(start..<end, with: random.pick(pieces))
    }

    /// Repeats something so often that whoever keeps all of it, or calls itself for each, is found out.
    private mutating func grow(_ bytes: inout [UInt8], _ pieces: [[UInt8]]) {
        let piece = random.pick([Array("[".utf8), Array("{\"a\":".utf8), Array("1,".utf8), random.pick(pieces)])
        let place = random.below(bytes.count + 1)
        let count = 1 << random.below(16)
        var run: [UInt8] = []
        run.reserveCapacity(piece.count * count)
        for _ in 0..<count { run += piece }
        bytes.insert(contentsOf: run, at: place)
    }
}
