internal import Glibc
internal import RedisClient

extension RedisStore {
    package func usedBytes() async throws(StoreError) -> Int64? {
        try await info()["used_memory"].flatMap { Int64($0) }
    }

    package func diagnose() async throws(StoreError) -> [StoreFinding] {
        let permissions = try await permissions()
        let info: [Substring: Substring]
        do throws(StoreError) {
            info = try await self.info()
        } catch {
            // Without INFO there is nothing to judge but what was tried.
            guard error.code == .misconfigured, permissions.grade == .bad else { throw error }
            return [encryption(), permissions]
        }
        return [
            version(info), policy(info), persistence(info), role(info), memory(info), try await clock(), encryption(),
            permissions,
        ]
    }

    /// The fields of INFO.
    private func info() async throws(StoreError) -> [Substring: Substring] {
        var pipeline = RedisPipeline()
        pipeline.append("INFO")
        let bytes = try await call(pipeline) { replies throws(RedisError) in try replies[0].bytes() ?? [] }
        let text = String(decoding: bytes, as: UTF8.self)
        var fields: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        return fields
    }

    private func version(_ info: [Substring: Substring]) -> StoreFinding {
        let version = info["redis_version"] ?? "unknown"
        let numbers = version.split(separator: ".").compactMap { Int($0) }
        guard numbers.count >= 2, (numbers[0], numbers[1]) >= (6, 2) else {
            return finding("version", .bad, "Redis \(version): Tidemark needs 6.2 or later; upgrade the server")
        }
        return finding("version", .good, "Redis \(version)")
    }

    private func policy(_ info: [Substring: Substring]) -> StoreFinding {
        let policy = info["maxmemory_policy"] ?? "unknown"
        if policy.hasPrefix("allkeys-") {
            return finding(
                "maxmemory-policy", .bad,
                "\(policy) may evict control keys and rows: set maxmemory-policy to noeviction or volatile-ttl")
        }
        if let evicted = info["evicted_keys"], evicted != "0" {
            return finding(
                "maxmemory-policy", .warning,
                "\(policy), and \(evicted) keys were evicted since the start: raise maxmemory or shorten TTLs")
        }
        return finding("maxmemory-policy", .good, String(policy))
    }

    private func persistence(_ info: [Substring: Substring]) -> StoreFinding {
        if info["rdb_last_bgsave_status"] == "err" || info["aof_last_write_status"] == "err" {
            return finding(
                "persistence", .bad, "the last save failed: free its disk or mend its directory's permissions")
        }
        if info["aof_enabled"] == "1" { return finding("persistence", .good, "append-only file") }
        if info["rdb_last_save_time"] != nil, info["rdb_saves"] != "0" {
            return finding(
                "persistence", .good, "snapshots; a crash loses what came after the last one, until resynced")
        }
        return finding(
            "persistence", .warning,
            "nothing was saved yet: after a restart every row is synced anew; set appendonly yes or save points")
    }

    private func role(_ info: [Substring: Substring]) -> StoreFinding {
        guard info["role"] == "master" else {
            return finding(
                "role", .bad, "\(info["role"] ?? "unknown"): it takes no writes; name the master in online_store.url")
        }
        if info["cluster_enabled"] == "1" {
            return finding("role", .bad, "part of a cluster, which is not supported: use a standalone server")
        }
        return finding("role", .good, "master with \(info["connected_slaves"] ?? "0") replicas")
    }

    private func memory(_ info: [Substring: Substring]) -> StoreFinding {
        let used = info["used_memory"].flatMap { Int64($0) } ?? 0
        let maximum = info["maxmemory"].flatMap { Int64($0) } ?? 0
        guard maximum > 0 else {
            return finding(
                "memory", .warning, "\(used >> 20) MiB used, no maxmemory: set one below the machine's memory")
        }
        let share = Double(used) / Double(maximum)
        let text = "\(used >> 20) of \(maximum >> 20) MiB used"
        if share > 0.95 { return finding("memory", .bad, "\(text): raise maxmemory before writes are refused") }
        return share > 0.8
            ? finding("memory", .warning, "\(text): raise maxmemory soon") : finding("memory", .good, text)
    }

    private func clock() async throws(StoreError) -> StoreFinding {
        var pipeline = RedisPipeline()
        pipeline.append("TIME")
        let before = Self.now()
        let time = try await call(pipeline) { replies throws(RedisError) in try Self.values(replies[0], count: 2) }
        let after = Self.now()
        guard let seconds = time[0].flatMap({ Int64(String(decoding: $0, as: UTF8.self)) }),
            let micros = time[1].flatMap({ Int64(String(decoding: $0, as: UTF8.self)) })
        else { throw StoreError(.corrupt, "the reply to TIME has an unexpected form") }
        let skew = seconds * 1_000_000 + micros - (before + after) / 2
        let milliseconds = abs(skew) / 1_000
        guard milliseconds > 1_000 else { return finding("clock", .good, "\(milliseconds) ms from this machine's") }
        return finding(
            "clock", .warning,
            "\(milliseconds) ms \(skew > 0 ? "ahead of" : "behind") this machine's: set up NTP on both")
    }

    private func encryption() -> StoreFinding {
        let endpoint = client.endpoint
        guard endpoint.tls == nil, !endpoint.isLocal else {
            if endpoint.tls?.verifies == false {
                return finding("encryption", .warning, "TLS without verification: name the CA with ca_file")
            }
            return finding("encryption", .good, endpoint.tls == nil ? "local" : "TLS")
        }
        return finding(
            "encryption", .warning,
            "\(endpoint.password == nil ? "rows cross" : "the password crosses") the network in plain text: use rediss://"
        )
    }

    /// Runs every command that the store needs on a key of its own.
    private func permissions() async throws(StoreError) -> StoreFinding {
        let probe = RedisPipeline.Argument.text(keys.probe)
        let commands: [(StaticString, [RedisPipeline.Argument])] = [
            ("SET", [probe, .text("1"), .text("PX"), .integer(1_000)]), ("GET", [probe]), ("MGET", [probe]),
            ("PTTL", [probe]), ("PEXPIRE", [probe, .integer(1_000)]), ("DEL", [probe]),
            ("HSET", [probe, .text("a"), .text("1")]), ("HGET", [probe, .text("a")]),
            ("HMGET", [probe, .text("a")]), ("HGETALL", [probe]), ("HLEN", [probe]), ("HEXISTS", [probe, .text("a")]),
            ("HDEL", [probe, .text("a")]), ("LPUSH", [probe, .text("1")]),
            ("LTRIM", [probe, .integer(0), .integer(0)]),
            ("LRANGE", [probe, .integer(0), .integer(0)]), ("UNLINK", [probe]), ("TIME", []), ("INFO", []),
            ("SCAN", [.integer(0), .text("COUNT"), .integer(1)]), ("EVAL", [.text("return 1"), .integer(0)]),
            ("SCRIPT", [.text("LOAD"), .text("return 1")]),
        ]
        var pipeline = RedisPipeline()
        for (name, arguments) in commands { pipeline.append(name, arguments) }
        pipeline.append(RowScript.script, keys: [], [.text("compare"), .text(""), .text("")])
        let names = commands.map(\.0.description) + ["EVALSHA"]
        return try await call(pipeline) { replies throws(RedisError) in
            var missing: [String] = []
            for (name, reply) in zip(names, replies) {
                if case .error(let error) = reply, error.kind == .noperm { missing.append(name.lowercased()) }
            }
            guard !missing.isEmpty else { return finding("permissions", .good, "all commands that are needed") }
            let wanted = missing.map { "+" + $0 }.joined(separator: " ")
            return finding("permissions", .bad, "the user lacks permissions: ACL SETUSER … \(wanted) ~*")
        }
    }

    private func finding(_ check: String, _ grade: StoreFinding.Grade, _ text: String) -> StoreFinding {
        StoreFinding(check: "redis.\(check)", grade: grade, text: text)
    }

    /// Microseconds since 1970 by this machine's clock.
    private static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
