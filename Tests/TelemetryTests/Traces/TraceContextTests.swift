import Telemetry
import Testing

/// W3C trace context, as it comes and as it is handed on.
@Suite struct TraceContextTests {
    @Test
    func readsTraceparent() throws {
        let trace = try #require(TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"))
        #expect(trace.traceHigh == 0x0af7_6519_16cd_43dd && trace.traceLow == 0x8448_eb21_1c80_319c)
        #expect(trace.span == 0xb7ad_6b71_6920_3331 && trace.flags == 3 && trace.isSampled)
        #expect(TraceContext(traceparent: "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more") != nil)
    }

    @Test(arguments: [
        "", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ])
    func otherTraceparentsCountAsNone(_ value: String) {
        #expect(TraceContext(traceparent: value) == nil)
    }

    @Test(arguments: [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
        "00-00000000000000000000000000000001-0000000000000001-00",
        "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01",
    ])
    func whatWasReadIsHandedOnAsItCame(_ value: String) throws {
        let trace = try #require(TraceContext(traceparent: value))
        #expect(trace.traceparent == value)
        #expect(value.contains("-\(trace.traceID)-\(trace.spanID)-"))
    }

    @Test func flagsOfLaterVersionsAreNotHandedOn() throws {
        let trace = try #require(
            TraceContext(traceparent: "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more"))
        #expect(trace.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03")
    }
}
