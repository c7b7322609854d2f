import NIOCore
import Serving
import Testing

/// What an event loop knows of its own absence.
@Suite struct LoopPulseTests {
    private static let timeout = TimeAmount.milliseconds(50)
    private static let slack = TimeAmount.milliseconds(2)
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private static func at(_ milliseconds: Int64) -> NIODeadline { start + .milliseconds(milliseconds) }

    /// Where the kernel tells nothing, or says `receipt`.
    private static func arrival(
        _ pulse: LoopPulse, of first: NIODeadline, quietSince: NIODeadline, receipt: NIODeadline? = nil
    ) -> NIODeadline { pulse.arrival(of: first, quietSince: quietSince) { receipt } }

    private static func makePulse() -> LoopPulse {
        var pulse = LoopPulse(at: start)
        pulse.feel(at: at(10), slack: slack, timeout: timeout)
        return pulse
    }

    @Test func whatIsReadInTimeCameWhenItWasRead() {
        var pulse = Self.makePulse()
        pulse.turn(at: Self.at(15), timeout: Self.timeout)
        #expect(Self.arrival(pulse, of: Self.at(15), quietSince: Self.start) == Self.at(15))
        // A pause of a busy machine.
        pulse.turn(at: Self.at(35), timeout: Self.timeout)
        #expect(Self.arrival(pulse, of: Self.at(35), quietSince: Self.start, receipt: Self.at(20)) == Self.at(35))
    }

    @Test func whatLayUnreadInAnAbsenceCameInTheMiddleOfIt() {
        var pulse = Self.makePulse()
        pulse.turn(at: Self.at(5_010), timeout: Self.timeout)
        #expect(Self.arrival(pulse, of: Self.at(5_010), quietSince: Self.start) == Self.at(2_510))
        // Also what a later turn reads before the next beat that comes in time: a turn reads a part of what is there.
        pulse.feel(at: Self.at(5_011), slack: Self.slack, timeout: Self.timeout)
        pulse.turn(at: Self.at(5_012), timeout: Self.timeout)
        #expect(Self.arrival(pulse, of: Self.at(5_012), quietSince: Self.start) == Self.at(2_510))
        // Not what began before, and not the next one of a connection that had its answer since.
        #expect(Self.arrival(pulse, of: Self.at(8), quietSince: Self.start) == Self.at(8))
        #expect(Self.arrival(pulse, of: Self.at(5_013), quietSince: Self.at(5_012)) == Self.at(5_013))
        pulse.feel(at: Self.at(5_021), slack: Self.slack, timeout: Self.timeout)
        #expect(Self.arrival(pulse, of: Self.at(5_022), quietSince: Self.start) == Self.at(5_022))
    }

    @Test func whenSomethingCameInAnAbsenceIsTheKernelsWord() {
        var pulse = Self.makePulse()
        pulse.turn(at: Self.at(5_010), timeout: Self.timeout)
        for (receipt, expected) in [(4_990, 4_990), (20, 20), (2, 10), (5_010, 5_010), (5_014, 5_010)] {
            let arrival = Self.arrival(
                pulse, of: Self.at(5_010), quietSince: Self.start, receipt: Self.at(Int64(receipt)))
            #expect(arrival == Self.at(Int64(expected)), "\(receipt)")
        }
        let next = Self.arrival(pulse, of: Self.at(5_013), quietSince: Self.at(5_012), receipt: Self.at(20))
        #expect(next == Self.at(5_013))
    }

    @Test func anAbsenceThatABeatNoticesFirstCountsToo() {
        var pulse = Self.makePulse()
        pulse.feel(at: Self.at(5_010), slack: Self.slack, timeout: Self.timeout)
        pulse.turn(at: Self.at(5_011), timeout: Self.timeout)
        #expect(Self.arrival(pulse, of: Self.at(5_011), quietSince: Self.start) == Self.at(2_510))
    }

    @Test func aLoopThatWasAwayTwiceKnowsTheLatest() {
        var pulse = Self.makePulse()
        pulse.turn(at: Self.at(1_010), timeout: Self.timeout)
        pulse.feel(at: Self.at(1_010), slack: Self.slack, timeout: Self.timeout)
        pulse.turn(at: Self.at(2_010), timeout: Self.timeout)
        #expect(Self.arrival(pulse, of: Self.at(2_010), quietSince: Self.start) == Self.at(1_510))
    }

    @Test func aLateBeatExcusesTheStoreForAsLongAsARequestMayTake() {
        var pulse = Self.makePulse()
        #expect(!pulse.isBehind(at: Self.at(21), slack: Self.slack))
        #expect(pulse.isBehind(at: Self.at(23), slack: Self.slack))
        pulse.feel(at: Self.at(23), slack: Self.slack, timeout: Self.timeout)
        #expect(pulse.isBehind(at: Self.at(30), slack: Self.slack))
        pulse.feel(at: Self.at(33), slack: Self.slack, timeout: Self.timeout)
        for time in stride(from: Int64(43), through: 73, by: 10) {
            pulse.feel(at: Self.at(time), slack: Self.slack, timeout: Self.timeout)
        }
        #expect(!pulse.isBehind(at: Self.at(74), slack: Self.slack))
    }
}
