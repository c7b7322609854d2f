/// Makes a request that is sent several times take effect once. Reads no clock, does no I/O; the owner keeps it in a
/// `Mutex`.
///
/// A key is free → in flight by `begin` → stored by `finish` with an answer, or free again by `finish` without one, or
/// interrupted by `interrupt`, as by `restore` → in flight by `begin` of the same request. A stored answer is replayed until its
/// retention is over. Every `begin` that says `execute` is followed by one `finish` or `interrupt`.
///
/// The owner may `note` what the first attempt set out to do, for the one that comes after an interruption.
package struct IdempotencyTable<
    Key: Hashable & Sendable, Fingerprint: Hashable & Sendable, Answer: Sendable
>: ~Copyable {
    /// How much it holds and how long.
    package struct Limits: Sendable, Hashable {
        /// Keys in all.
        package var keys = 10_000
        /// Bytes of stored answers, as `finish` is told.
        package var bytes = 16 << 20
        /// How long an answer is replayed.
        package var retention = Duration.seconds(86_400)
        /// Where room is short answers are given up from this age on, the oldest first; younger ones never are.
        package var minimumRetention = Duration.seconds(3_600)

        package init() {}
    }

    /// What becomes of a request.
    package enum Admission {
        /// Carry it out, then call `finish`.
        case execute
        /// It was carried out before: answer this.
        case replay(Answer)
        /// The first one is still being carried out.
        case inFlight
        /// The key was used for another request.
        case mismatch
        /// No room; trying again later can help.
        case full
    }

    private enum Entry {
        case inFlight(Fingerprint, note: [UInt8]?)
        /// Nobody knows whether it took effect: its request may come again.
        case interrupted(Fingerprint, note: [UInt8]?, at: ContinuousClock.Instant)
        case stored(Fingerprint, Answer, bytes: Int, at: ContinuousClock.Instant)
    }

    package let limits: Limits
    private var entries: [Key: Entry] = [:]
    /// Keys with stored answers, the oldest first, from `oldest` on.
    private var order: [Key] = []
    private var oldest = 0
    /// Bytes of the stored answers.
    package private(set) var bytes = 0

    package init(_ limits: Limits = .init()) {
        self.limits = limits
    }

    /// How many keys are remembered.
    package var count: Int { entries.count }

    /// A request with a key came.
    package mutating func begin(
        _ key: Key, _ fingerprint: Fingerprint, at now: ContinuousClock.Instant
    ) -> Admission {
        forget(at: now)
        switch entries[key] {
        case .inFlight(let first, _): return first == fingerprint ? .inFlight : .mismatch
        case .stored(let first, let answer, _, _): return first == fingerprint ? .replay(answer) : .mismatch
        case .interrupted(let first, let note, _):
            guard first == fingerprint else { return .mismatch }
            order = order[oldest...].filter { $0 != key }
            oldest = 0
            entries[key] = .inFlight(fingerprint, note: note)
            return .execute
        case nil: break
        }
        makeRoom(keys: 1, bytes: 1, at: now)
        guard entries.count < limits.keys, bytes < limits.bytes else { return .full }
        entries[key] = .inFlight(fingerprint, note: nil)
        return .execute
    }

    /// What was noted of a request in flight, by this attempt or one before.
    package func note(of key: Key) -> [UInt8]? {
        if case .inFlight(_, let note) = entries[key] { note } else { nil }
    }

    /// Notes something of a request in flight.
    package mutating func note(_ note: [UInt8], of key: Key) {
        guard case .inFlight(let fingerprint, _) = entries[key] else { return }
        entries[key] = .inFlight(fingerprint, note: note)
    }

    /// A request that `begin` let through is over, and whether it took effect is not known: the same one may come again.
    package mutating func interrupt(_ key: Key, at now: ContinuousClock.Instant) {
        guard case .inFlight(let fingerprint, let note) = entries[key] else { return }
        entries[key] = .interrupted(fingerprint, note: note, at: now)
        order.append(key)
    }

    /// A request that `begin` let through is over. Without an answer the key is free again.
    ///
    /// An answer beyond the limit of bytes is kept all the same, since the change took effect; what comes next is `full`.
    package mutating func finish(
        _ key: Key, _ answer: Answer?, bytes size: Int, at now: ContinuousClock.Instant
    ) {
        guard case .inFlight(let fingerprint, _) = entries[key] else { return }
        guard let answer else {
            entries[key] = nil
            return
        }
        let size = max(0, size)
        makeRoom(keys: 0, bytes: size, at: now)
        entries[key] = .stored(fingerprint, answer, bytes: size, at: now)
        order.append(key)
        bytes += size
    }

    /// Takes over what another process knew, the oldest first: an answer, or a request that was cut off before there was one, with
    /// what was noted of it.
    package mutating func restore(
        _ key: Key, _ fingerprint: Fingerprint, _ answer: Answer?, note: [UInt8]? = nil, bytes size: Int,
        at instant: ContinuousClock.Instant
    ) {
        guard entries[key] == nil, entries.count < limits.keys else { return }
        let size = answer == nil ? 0 : max(0, size)
        guard bytes + size <= limits.bytes else { return }
        entries[key] =
            answer.map { .stored(fingerprint, $0, bytes: size, at: instant) }
            ?? .interrupted(fingerprint, note: note, at: instant)
        order.append(key)
        bytes += size
    }

    private mutating func forget(at now: ContinuousClock.Instant) {
        while let age = ageOfOldest(at: now), age >= limits.retention { dropOldest() }
    }

    private mutating func makeRoom(keys: Int, bytes more: Int, at now: ContinuousClock.Instant) {
        while entries.count + keys > limits.keys || bytes + more > limits.bytes,
            let age = ageOfOldest(at: now), age >= limits.minimumRetention
        { dropOldest() }
    }

    private func ageOfOldest(at now: ContinuousClock.Instant) -> Duration? {
        guard oldest < order.count else { return nil }
        switch entries[order[oldest]] {
        case .stored(_, _, _, let at), .interrupted(_, _, let at): return now - at
        case .inFlight, nil: return nil
        }
    }

    private mutating func dropOldest() {
        if case .stored(_, _, let size, _) = entries.removeValue(forKey: order[oldest]) { bytes -= size }
        oldest += 1
        guard oldest * 2 > order.count else { return }
        order.removeFirst(oldest)
        oldest = 0
    }
}
