/// The versions of one view: which exist, which is read, which a rollback would return to.
///
/// One control document a view; each change of it is one compare-and-swap, so a flip is one step for every reader.
package struct ViewVersions: Codable, Hashable, Sendable {
    /// What a version is for.
    package enum State: String, Codable, Sendable {
        /// Being filled; read by nobody. → `current` by activation, → `retired` when a newer one is begun.
        case building
        /// Filled and waiting for `activate`; synced. → `current`, → `retired`.
        case built
        /// What lookups read; synced. → `previous` by activation of another or by rollback.
        case current
        /// What a rollback returns to; synced until `retireAt`. → `current` by rollback, → `retired`.
        case previous
        /// Synced by nobody; its rows leave by their TTL. Final.
        case retired
    }

    /// One version.
    package struct Version: Codable, Hashable, Sendable {
        /// Counts from 1.
        package let number: Int
        package var state: State
        /// Why it was begun, in words for people.
        package let reason: String
        package let definitionFingerprint: String
        /// The view as it was defined for this version: `ViewDocument`'s text. Kept current with changes that need no new version.
        package var definition: String
        /// Microseconds since 1970.
        package let createdAt: Int64
        package var activatedAt: Int64?
        /// From when a `previous` version may be retired.
        package var retireAt: Int64?
    }

    package let view: String
    /// Oldest first; long retired ones are dropped.
    package private(set) var versions: [Version]
    /// Set by an operator: no sync touches the view.
    package var isPaused: Bool

    /// How many retired versions are remembered.
    package static let rememberedRetired = 10

    package init(view: String) {
        self.view = view
        versions = []
        isPaused = false
    }

    /// The version that lookups read.
    package var current: Version? { versions.first { $0.state == .current } }

    /// The version that a rollback returns to.
    package var previous: Version? { versions.first { $0.state == .previous } }

    /// The version being filled or waiting for activation.
    package var next: Version? { versions.first { $0.state == .building || $0.state == .built } }

    /// The version of a number.
    package func version(_ number: Int) -> Version? { versions.first { $0.number == number } }

    /// The versions that are synced, the one that is read first.
    package var synced: [Version] {
        [current, previous, next].compactMap(\.self)
    }

    /// Begins a new version; one that was still being built is retired.
    package mutating func begin(
        definition: String, fingerprint: String, reason: String, at now: Int64, number: Int? = nil
    ) -> Int {
        setState(of: next?.number, .retired)
        let new = number ?? (versions.map(\.number).max() ?? 0) + 1
        versions.append(
            Version(
                number: new, state: .building, reason: reason, definitionFingerprint: fingerprint,
                definition: definition, createdAt: now))
        let retired = versions.filter { $0.state == .retired }.map(\.number)
        let forgotten = Set(retired.dropLast(Self.rememberedRetired))
        versions.removeAll { forgotten.contains($0.number) }
        return new
    }

    /// Takes a definition that needs no new version (limits, schedule, contract) into a version.
    package mutating func redefine(_ number: Int, definition: String) {
        guard let index = versions.firstIndex(where: { $0.number == number }) else { return }
        versions[index].definition = definition
    }

    /// Notes that a version is filled. `false` when it isn't being built.
    package mutating func finishBuilding(_ number: Int) -> Bool {
        guard version(number)?.state == .building else { return false }
        setState(of: number, .built)
        return true
    }

    /// Makes a built version the one that is read; the one read so far becomes the previous one.
    ///
    /// - Returns: `false` when the version isn't built (or isn't the previous one).
    package mutating func activate(_ number: Int, at now: Int64, keepPrevious: Duration) -> Bool {
        guard let state = version(number)?.state, state == .built || state == .previous else { return false }
        let old = current?.number
        if state == .built { setState(of: previous?.number, .retired) }
        setState(of: old, .previous)
        setState(of: number, .current)
        for index in versions.indices {
            if versions[index].number == number {
                versions[index].activatedAt = now
                versions[index].retireAt = nil
            } else if versions[index].number == old {
                let keep = keepPrevious.components
                versions[index].retireAt = now + keep.seconds * 1_000_000
            }
        }
        return true
    }

    /// Retires the previous version when its time is over. `true` when it did.
    package mutating func retireExpired(at now: Int64) -> Bool {
        guard let previous, let retireAt = previous.retireAt, now >= retireAt else { return false }
        setState(of: previous.number, .retired)
        return true
    }

    private mutating func setState(of number: Int?, _ state: State) {
        guard let index = versions.firstIndex(where: { $0.number == number }) else { return }
        versions[index].state = state
    }
}
