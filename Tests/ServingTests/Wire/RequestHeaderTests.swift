import Serving
import Testing

struct RequestHeaderTests {
    @Test
    func timeoutsAreWholeMillisecondsInTheirRange() throws {
        #expect(try RequestHeaders.timeoutMilliseconds(nil) == nil)
        #expect(try RequestHeaders.timeoutMilliseconds("1") == 1)
        #expect(try RequestHeaders.timeoutMilliseconds("050") == 50)
        #expect(try RequestHeaders.timeoutMilliseconds("600000") == 600_000)
    }

    @Test(arguments: [
        "", "0", "600001", "-1", "+5", " 5", "5 ", "5ms", "1.5", "1e3", "99999999H", "10, 20", "9999999", "٣",
    ])
    func otherTimeoutsAreRefused(_ value: String) {
        let error = #expect(throws: WireError.self) { try RequestHeaders.timeoutMilliseconds(value) }
        #expect(error?.problem == .invalidTimeout)
        #expect(error?.problem.status == 400)
    }

    @Test
    func aCallersSafeRequestIDIsKept() {
        var ids = RequestIDs()
        #expect(ids.id("a-Z_0.:/+=@") == "a-Z_0.:/+=@")
        #expect(ids.id(String(repeating: "a", count: 128)).utf8.count == 128)
        for wrong in ["", "a b", "a\r\nb", "é", "a\"b", "{}", String(repeating: "a", count: 129)] {
            let id = ids.id(wrong)
            #expect(id != wrong && id.utf8.count == 13)
        }
    }

    @Test
    func newRequestIDsAreSafeAndDiffer() {
        var ids = RequestIDs()
        var seen: Set<String> = []
        for _ in 0..<100_000 {
            let id = ids.next()
            #expect(RequestHeaders.isRequestID(id) && id.utf8.count == 13)
            seen.insert(id)
        }
        #expect(seen.count == 100_000)
    }
}
