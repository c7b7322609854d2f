import OnlineStore
import Ranking
import Resilience

/// What came of asking a dependency.
enum CallResult<Value: Sendable>: Sendable {
    case value(Value)
    /// Not in good time, or not at all; in a word.
    case left(String)
}

/// Asks dependencies: through their gate, under a deadline, with the outcome told to the breaker.
struct Callout: Sendable {
    let clock: RecommendClock
    let runner: CallRunner
    /// What takes longer is slow.
    let slow: Duration

    /// `isFull` says whether the time until `until` is as much as the call may be expected to need: what is late with less says
    /// nothing about the dependency. Where there is a `hedge`, `again` is the second way to the same value.
    func call<Value: Sendable>(
        _ gate: DependencyGate, until: ContinuousClock.Instant, isFull: Bool, hedge: Hedge? = nil,
        again: (@Sendable () async throws -> Value)? = nil,
        _ work: @escaping @Sendable () async throws -> Value
    ) async -> CallResult<Value> {
        let now = clock.now()
        guard now < until else { return .left("no_time") }
        let permit: Breaker.Permit
        do throws(DependencyGate.Refusal) {
            permit = try gate.admit(at: now)
        } catch {
            return .left(error.rawValue)
        }
        let second = again.flatMap { again in
            hedge?.second(gate, at: now, until: until, clock) {
                defer { gate.ended() }
                return try await again()
            }
        }
        let outcome = await runner.call(until: until, second: second) {
            defer { gate.ended() }
            return try await work()
        }
        if case .refused = outcome { gate.ended() }
        let end = clock.now()
        switch outcome {
        case .value, .late: hedge?.finished(after: end - now)
        case .failure, .refused: break  // Says nothing about how long an answer takes.
        }
        let (result, verdict) = Self.judge(outcome, isFull: isFull, isSlow: end - now > slow)
        gate.finished(permit, verdict, at: end)
        return result
    }

    private static func judge<Value: Sendable>(
        _ outcome: CallRunner.Outcome<Value>, isFull: Bool, isSlow: Bool
    ) -> (CallResult<Value>, Breaker.Outcome) {
        switch outcome {
        case .value(let value): (.value(value), isSlow ? .slow : .success)
        case .late: (.left("late"), isFull ? .failure : .ignored)
        case .refused: (.left("stopping"), .ignored)
        case .failure(let error):
            switch error {
            case let error as StoreError: judge(error, isFull)
            case let error as CandidateError: (.left(error.reason), error.isFault ? .failure : .ignored)
            case let error as RankerError: judge(error, isFull)
            case is CancellationError: (.left("late"), .ignored)
            default: (.left("failed"), .failure)
            }
        }
    }

    private static func judge<Value: Sendable>(
        _ error: StoreError, _ isFull: Bool
    ) -> (CallResult<Value>, Breaker.Outcome) {
        switch error.code {
        case .deadlineExceeded: (.left("late"), isFull ? .failure : .ignored)
        case .tooLarge: (.left("too_large"), .ignored)
        default: (.left(error.code.rawValue), .failure)
        }
    }

    private static func judge<Value: Sendable>(
        _ error: RankerError, _ isFull: Bool
    ) -> (CallResult<Value>, Breaker.Outcome) {
        switch error.code {
        case .deadlineExceeded: (.left("late"), isFull ? .failure : .ignored)
        case .overloaded, .tooLarge, .mismatch, .notFound: (.left(error.code.rawValue), .ignored)
        case .unavailable, .corrupt, .failed: (.left(error.code.rawValue), .failure)
        }
    }

    /// Asks one that answers from memory, or ends in time by itself: in the caller's task, but by the gate's rules.
    func ask<Value: Sendable>(
        _ gate: DependencyGate, isFull: Bool, _ work: () async throws -> Value
    ) async -> CallResult<Value> {
        let began = clock.now()
        let permit: Breaker.Permit
        do throws(DependencyGate.Refusal) {
            permit = try gate.admit(at: began)
        } catch {
            return .left(error.rawValue)
        }
        defer { gate.ended() }
        let outcome: CallRunner.Outcome<Value>
        do { outcome = .value(try await work()) } catch { outcome = .failure(error) }
        let end = clock.now()
        let (result, verdict) = Self.judge(outcome, isFull: isFull, isSlow: end - began > slow)
        gate.finished(permit, verdict, at: end)
        return result
    }
}
