import NIOCore
package import Recommend
import Resilience
import Telemetry

/// Takes requests for items in, whichever way they come: one limit, one rule for the time that each has, one span.
package struct RecommendIntake: Sendable {
    /// As many requests are under way as can be answered in time.
    package struct Overloaded: Error, CustomStringConvertible {
        /// Seconds until one may ask again, 1 to 5.
        package let retryAfter: Int

        package var description: String { "as many requests are under way as can be answered in time" }
    }

    private let serving: ServingContext
    private let recommender: Recommender

    package init(_ serving: ServingContext, _ recommender: Recommender) {
        self.serving = serving
        self.recommender = recommender
    }

    /// What a request may hold, as of now.
    package var limits: WireLimits { WireLimits(serving.liveSettings) }

    /// Whether a run is so short that it may be made on an event loop.
    func isBrief(_ request: RecommendRequest) -> Bool { recommender.isBrief(request) }

    /// What `work` gives, while it has its place under the limit. `isWhole` says that all did their part: only then the time it
    /// took counts.
    ///
    /// - Throws: `Overloaded` where there is no place; what `work` throws.
    package func admitted<Output>(_ work: () async throws -> (Output, isWhole: Bool)) async throws -> Output {
        switch serving.recommending.acquire(at: .now()) {
        case .refused(let seconds): throw Overloaded(retryAfter: seconds)
        case .admitted(let permit):
            var outcome = ConcurrencyLimiter.Outcome.ignored
            defer { serving.recommending.finished(permit, outcome, at: .now()) }
            let (output, isWhole) = try await work()
            if isWhole { outcome = .success }
            return output
        }
    }

    /// Recommends within `timeout`, or the time of the pipeline where it is `nil`, at most `serve.max_timeout` from `start`.
    /// Ends the request's span.
    package func answer(
        _ request: RecommendRequest, from start: ContinuousClock.Instant, within timeout: Duration?
    ) async throws(RecommendError) -> RecommendAnswer {
        let settings = serving.liveSettings
        let time = timeout ?? recommender.timeout(of: request.pipeline) ?? settings.timeout
        var span = request.span
        let answer: RecommendAnswer
        do throws(RecommendError) {
            answer = try await recommender.recommend(
                request, start: start, deadline: start + min(time, settings.maximumTimeout))
        } catch {
            span?.fail("\(error.code)")
            span?.end()
            throw error
        }
        span?.set(.pipeline, request.pipeline)
        span?.set(.rung, "\(answer.rung)")
        span?.set(.items, answer.items.count)
        span?.end()
        return answer
    }
}
