import NIOCore
import Testing
import TidemarkTesting

// The cursor has no package API: a read uses it to check answers.
@testable import RedisClient

struct CommandCursorTests {
    @Test func eachCommandTellsItsArguments() {
        var cursor = CommandCursor(mget([["a", "b\r\n*9\r\n"], ["c"], ["", "", ""]]))
        #expect([cursor.next(), cursor.next(), cursor.next(), cursor.next()] == [2, 1, 3, nil])
    }

    @Test(arguments: [
        "", "*", "*\r\n", "*0\r\n", "*2\r\n$4\r\nMGET\r\n", "*1\r\n$5\r\nMGET\r\n", "$4\r\nMGET\r\n", "*1\r\n+MGET\r\n",
        "*1\r\n$99999999999999999999999999\r\n", "*99999999999999999999999999\r\n", "*1\r\n$-1\r\n",
    ])
    func whatIsNoCommandHasNoCount(_ text: String) {
        var cursor = CommandCursor(ByteBuffer(string: text))
        #expect(cursor.next() == nil)
    }

    @Test func cutAnywhereItStops() {
        let whole = mget([["abc", ""], ["d"]])
        for end in 0..<whole.readableBytes {
            guard let part = whole.getSlice(at: 0, length: end) else { continue }
            var cursor = CommandCursor(part)
            let counts = [cursor.next(), cursor.next()]
            #expect(counts == [nil, nil] || counts == [2, nil])
        }
    }
}
