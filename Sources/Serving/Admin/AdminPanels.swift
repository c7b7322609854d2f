package import FeatureModel
package import Resilience

/// A breaker as it is now.
package struct BreakerReading: Sendable, Hashable {
    package let name: String
    /// `closed`, `half_open`, `open`, `forced_open` or `forced_closed`.
    package let state: String
    /// How often it opened.
    package let trips: Int

    package init(name: String, state: String, trips: Int) {
        self.name = name
        self.state = state
        self.trips = trips
    }
}

/// The breakers of the daemon, for the admin listener.
package protocol BreakerPanel: Sendable {
    /// All of them, in any order.
    func breakers() -> [BreakerReading]
    /// Overrides a breaker, or ends the override where `override` is `nil` and lets it begin closed.
    ///
    /// - Returns: The breaker before and after; `nil` where there is none of that name.
    func set(_ name: String, _ override: OverridableBreaker.Override?) -> (
        before: BreakerReading, after: BreakerReading
    )?
}

/// One limit, and how much of it is used now.
package struct LimitReading: Sendable, Hashable {
    package let name: String
    /// What is counted, as in `requests` or `bytes`.
    package let unit: String
    package let limit: Int64
    /// `nil` where nothing is held between requests.
    package let used: Int64?

    package init(name: String, unit: String, limit: Int64, used: Int64?) {
        self.name = name
        self.unit = unit
        self.limit = limit
        self.used = used
    }
}

/// The limits of the daemon, for the admin listener.
package protocol LimitPanel: Sendable {
    /// All of them, in any order.
    func limits() -> [LimitReading]
}

/// The config in force.
package struct ConfigReading: Sendable {
    /// Of its content, 16 hex digits.
    package let hash: String
    /// Counts from 1; grows with each config that was taken.
    package let generation: Int
    /// Microseconds since 1970.
    package let loadedAt: Int64
    /// What the file says, without what must not be shown: `Config.document`.
    package let document: DocumentValue
    /// Why the file as it is now was not taken; `nil` where it was. Names no secret.
    package let problem: String?
    /// Keys that count from the next start only.
    package let waitsForRestart: [String]

    package init(
        hash: String, generation: Int, loadedAt: Int64, document: DocumentValue, problem: String?,
        waitsForRestart: [String] = []
    ) {
        self.hash = hash
        self.generation = generation
        self.loadedAt = loadedAt
        self.document = document
        self.problem = problem
        self.waitsForRestart = waitsForRestart
    }
}

/// The daemon's config, for the admin listener.
package protocol ConfigPanel: Sendable {
    /// The config in force.
    var reading: ConfigReading { get }
    /// Reads the file again and takes it if it is valid; keeps what is in force if not.
    ///
    /// - Returns: The config in force afterwards, with the problem if the file was not taken.
    func reload() async -> ConfigReading
}
