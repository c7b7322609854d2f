internal import RedisClient

extension RedisStore {
    package func acquireLease(
        _ name: String, owner: String, duration: Duration
    ) async throws(StoreError) -> Lease? {
        var pipeline = RedisPipeline()
        pipeline.append(
            ControlScripts.acquireLease, keys: [keys.lease(name), keys.tokens],
            [.text(name), .text(owner), .integer(Self.milliseconds(duration))])
        // Sent again it takes the lease once more for the same owner, under a later token.
        return try await call(pipeline) { replies throws(RedisError) in
            guard let bytes = try replies[0].bytes() else { return nil }
            guard let token = Int64(String(decoding: bytes, as: UTF8.self)) else {
                throw RedisError(.malformedReply, "the token of a lease is not a number")
            }
            return Lease(name: name, owner: owner, token: token)
        }
    }

    package func renewLease(_ lease: Lease, duration: Duration) async throws(StoreError) -> Bool {
        var pipeline = RedisPipeline()
        pipeline.append(
            ControlScripts.renewLease, keys: [keys.lease(lease.name), keys.tokens],
            [
                .text(lease.name), .text(Self.text(lease)), .integer(lease.token),
                .integer(Self.milliseconds(duration)),
            ])
        return try await call(pipeline) { replies throws(RedisError) in try replies[0].integer() == 1 }
    }

    package func releaseLease(_ lease: Lease) async throws(StoreError) {
        var pipeline = RedisPipeline()
        pipeline.append(
            ControlScripts.releaseLease, keys: [keys.lease(lease.name), keys.tokens],
            [.text(lease.name), .integer(lease.token)])
        try await call(pipeline) { replies throws(RedisError) in _ = try replies[0].integer() }
    }

    package func leaseHolder(_ name: String) async throws(StoreError) -> Lease? {
        var pipeline = RedisPipeline()
        pipeline.append("GET", .text(keys.lease(name)))
        let bytes = try await call(pipeline) { replies throws(RedisError) in try replies[0].bytes() }
        guard let bytes else { return nil }
        let parts = bytes.split(separator: UInt8(ascii: " "), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let token = Int64(String(decoding: parts[0], as: UTF8.self)),
            let owner = String(validating: parts[1], as: UTF8.self)
        else { throw StoreError(.corrupt, "a lease in Redis has an unexpected form") }
        return Lease(name: name, owner: owner, token: token)
    }

    private static func text(_ lease: Lease) -> String { "\(lease.token) \(lease.owner)" }

    /// At least one: Redis refuses an expiry of none.
    private static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        let (whole, overflows) = seconds.multipliedReportingOverflow(by: 1_000)
        guard !overflows, whole < 1 << 50 else { return 1 << 50 }
        return max(1, whole + attoseconds / 1_000_000_000_000_000)
    }
}
