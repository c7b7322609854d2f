import FeatureModel
import Resilience

extension Breaker.Configuration {
    /// The rules of the config. `longestCall` is what a call may take of a request without a deadline of its own; a probe
    /// that takes longer, and a second at least, counts as failed.
    init(_ config: ServeBreakerConfig, longestCall: Duration) {
        self.init()
        consecutiveFailures = config.failures
        openMaximum = config.open
        openInitial = min(openInitial, openMaximum)
        window = config.window
        minimumCalls = config.minimumCalls
        failureRatio = config.failureShare
        slowRatio = config.slowShare
        probeLease = max(.seconds(1), longestCall)
    }
}
