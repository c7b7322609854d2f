import FeatureModel
import NIOCore
import Resilience
import Serving
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(1))) struct AdmissionGateTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000)

    private func permit(_ gate: AdmissionGate) -> ConcurrencyLimiter.Permit? {
        guard case .admitted(let permit) = gate.acquire(at: start) else { return nil }
        return permit
    }

    @Test func asManyAsConfiguredAreLetInAndTheNextIsTold() throws {
        let gate = AdmissionGate(.fixed(3), timeout: .milliseconds(50), threads: 2, at: start, seed: 1)
        let permits = (0..<3).compactMap { _ in permit(gate) }
        #expect(permits.count == 3)
        var waits: Set<Int> = []
        for _ in 0..<100 {
            guard case .refused(let seconds) = gate.acquire(at: start) else { throw Admitted() }
            waits.insert(seconds)
        }
        #expect(waits == [1, 2, 3, 4, 5])
        #expect((1...5).contains(gate.refuse(waited: true)))
        #expect(gate.status.refusals == 101)
        gate.finished(permits[0], .success, at: start)
        #expect(permit(gate) != nil)
        #expect(gate.status.inFlight == 3)
    }

    private struct Admitted: Error {}

    @Test func anotherLimitHoldsAtOnceAndPermitsStayGood() {
        let gate = AdmissionGate(.fixed(3), timeout: .milliseconds(50), threads: 2, at: start, seed: 1)
        let permits = (0..<3).compactMap { _ in permit(gate) }
        gate.configure(.fixed(1), timeout: .milliseconds(50))
        #expect(gate.status.limit == 1)
        #expect(permit(gate) == nil)
        for permit in permits { gate.finished(permit, .success, at: start) }
        #expect(gate.status.inFlight == 0)
        #expect(permit(gate) != nil)
        gate.configure(.adaptive, timeout: .milliseconds(50))
        #expect(gate.status.limit == 256)
    }

    @Test func anAdaptiveLimitBeginsWithRoomForEveryLoop() {
        #expect(
            AdmissionGate(.adaptive, timeout: .milliseconds(50), threads: 2, at: start, seed: 1).status.limit == 256)
        #expect(
            AdmissionGate(.adaptive, timeout: .milliseconds(50), threads: 0, at: start, seed: 0).status.limit == 128)
    }

    @Test func manyThreadsLeaveNothingBehind() async {
        let gate = AdmissionGate(.fixed(7), timeout: .milliseconds(50), threads: 4, at: start, seed: 1)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask {
                    var generator = SeededGenerator(seed: UInt64(task))
                    var held: [ConcurrencyLimiter.Permit] = []
                    for _ in 0..<20_000 {
                        if generator.chance(0.5) {
                            if case .admitted(let permit) = gate.acquire(at: .now()) { held.append(permit) }
                        } else if let permit = held.popLast() {
                            gate.finished(permit, generator.pick([.success, .late, .ignored]), at: .now())
                        }
                        if gate.status.inFlight > 7 { Issue.record("more than allowed") }
                    }
                    for permit in held { gate.finished(permit, .success, at: .now()) }
                }
            }
        }
        #expect(gate.status.inFlight == 0)
        #expect(gate.status.strays == 0)
    }
}
