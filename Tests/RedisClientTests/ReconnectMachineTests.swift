import Testing

// The machine has no package API: it decides inside of a client.
@testable import RedisClient

struct ReconnectMachineTests {
    private let start = ContinuousClock.now
    private let broken = RedisError(.connectionFailed, "no connection to the server")

    @Test func pausesDoubleUpToTheLongest() {
        var machine = ReconnectMachine(limits: .init(perSecond: 1_000))
        var now = start
        for pause in [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] as [Int64] {
            #expect(machine.admit(at: now) == nil)
            machine.failed(broken, at: now, chance: 0)
            #expect(machine.admit(at: now) == now + .milliseconds(pause))
            now += .milliseconds(pause)
        }
        #expect(machine.lastFailure?.code == .connectionFailed)
        #expect(machine.admit(at: now) == nil)
        machine.connected()
        #expect(machine.lastFailure == nil)
        #expect(machine.admit(at: now) == nil)
    }

    @Test func chanceTakesUpToHalfOfAPause() {
        var machine = ReconnectMachine(limits: .init())
        machine.failed(broken, at: start, chance: 1)
        #expect(machine.admit(at: start) == start + .milliseconds(25))
    }

    @Test func refusedLoginPausesLongAtOnce() {
        var machine = ReconnectMachine(limits: .init())
        machine.failed(RedisError(RedisErrorReply("WRONGPASS no")), at: start, chance: 0)
        #expect(machine.admit(at: start + .milliseconds(9_999)) == start + .seconds(10))
        #expect(machine.admit(at: start + .seconds(10)) == nil)
    }

    @Test func triesASecondAreLimited() {
        var machine = ReconnectMachine(limits: .init(perSecond: 4))
        for _ in 0..<4 { #expect(machine.admit(at: start) == nil) }
        #expect(machine.admit(at: start) == start + .milliseconds(250))
        #expect(machine.admit(at: start + .milliseconds(250)) == nil)
        #expect(machine.admit(at: start + .milliseconds(250)) != nil)
        var tries = 0
        for step in 1...100 where machine.admit(at: start + .milliseconds(250 + step * 100)) == nil { tries += 1 }
        #expect(tries == 40)
    }
}
