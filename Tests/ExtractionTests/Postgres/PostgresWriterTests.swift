import Extraction
import FeatureModel
import Testing
import TidemarkTesting

extension PostgresSuites {
    /// Exactness while many write: whatever the interleaving, once all is quiet the followed rows are the query's rows.
    @Suite struct PostgresWriterTests {
        @Test(arguments: [1, 2, 3] as [UInt64])
        func followedRowsEqualTheQueryOnceWritersRest(seed: UInt64) async throws {
            print("PostgresWriterTests seed \(seed)")
            let shop = try await ShopDatabase()
            let profile = Shop.profile()
            let activity = Shop.activity()
            try await shop.client.run("INSERT INTO users SELECT n, 'first', n FROM generate_series(1, 20) n")
            try await shop.client.run(
                "INSERT INTO events (user_id, amount) SELECT n % 10, n FROM generate_series(1, 40) n")
            let readers = [(profile, try await shop.open(profile)), (activity, try await shop.open(activity))]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<4 {
                    let session = try shop.session()
                    group.addTask {
                        var random = SplitMix(seed: seed &* 100 &+ UInt64(writer))
                        for round in 0..<30 {
                            try await Self.write(session, name: "\(seed)_\(writer)_\(round)", &random)
                        }
                        await session.close()
                    }
                }
                for (view, reader) in readers {
                    group.addTask { try await Self.compare(view, reader, seed: seed) }
                }
                try await group.waitForAll()
            }
            for (view, reader) in readers { try await Self.compareAtRest(view, reader, shop) }
        }

        /// Follows from before the first load until well into the writing, then remembers where it was.
        private static func compare(_ view: FeatureView, _ reader: any ViewReader, seed: UInt64) async throws {
            var mirror = Mirror(view)
            var cursor = try await reader.startCursor()
            try await mirror.walk(reader, limit: 3)
            for _ in 0..<20 { cursor = try await mirror.follow(reader, from: cursor, limit: 3) }
            await states.set(view.name, (cursor, mirror))
        }

        private static let states = States()

        private actor States {
            private var states: [String: (ChangeCursor, Mirror)] = [:]

            func set(_ name: String, _ state: (ChangeCursor, Mirror)) { states[name] = state }

            func get(_ name: String) -> (ChangeCursor, Mirror)? { states[name] }
        }

        private static func compareAtRest(_ view: FeatureView, _ reader: any ViewReader, _ shop: ShopDatabase)
            async throws
        {
            var (cursor, mirror) = try #require(await states.get(view.name))
            cursor = try await mirror.follow(reader, from: cursor, limit: 3)
            var truth = Mirror(view)
            try await truth.walk(reader, limit: 5)
            #expect(mirror.rows == truth.rows, "\(view.name)")
            let table = view.name == "profile" ? "users" : "events"
            let count = try await shop.client.run("SELECT count(DISTINCT user_id) FROM \(table)")
            #expect(count == [["\(truth.rows.count)"]])
            #expect(try await reader.readChanges(after: cursor, limit: 5).rows.isEmpty)
        }

        /// One transaction of random statements that ends in one of the ways transactions end.
        private static func write(
            _ session: PostgresClient, name: String, _ random: inout SplitMix
        ) async throws {
            let isPrepared = random.next(below: 6) == 0
            try await session.run("BEGIN")
            do {
                for step in 0..<(1 + random.next(below: 4)) {
                    let hasSavepoint = random.next(below: 4) == 0
                    if hasSavepoint { try await session.run("SAVEPOINT s\(step)") }
                    try await session.run(statement(&random))
                    if hasSavepoint, random.next(below: 2) == 0 { try await session.run("ROLLBACK TO s\(step)") }
                }
                if isPrepared {
                    try await session.run("PREPARE TRANSACTION 'p\(name)'")
                    let end = random.next(below: 3) == 0 ? "ROLLBACK" : "COMMIT"
                    try await session.run("\(end) PREPARED 'p\(name)'")
                } else {
                    try await session.run(random.next(below: 4) == 0 ? "ROLLBACK" : "COMMIT")
                }
            } catch {
                // A deadlock or a duplicate key: the transaction is gone, as it would be for any application.
                try await session.run("ROLLBACK")
            }
        }

        private static func statement(_ random: inout SplitMix) -> String {
            let a = random.next(below: 25)
            let b = random.next(below: 25)
            switch random.next(below: 8) {
            case 0:
                return "INSERT INTO users VALUES (\(a), 'n\(b)', \(b)) ON CONFLICT (user_id) DO UPDATE SET score = \(b)"
            case 1: return "UPDATE users SET score = score + 1 WHERE user_id = \(a)"
            case 2: return "DELETE FROM users WHERE user_id = \(a)"
            case 3:
                return
                    "UPDATE users SET user_id = \(a) WHERE user_id = \(b) AND NOT EXISTS (SELECT 1 FROM users WHERE user_id = \(a))"
            case 4: return "INSERT INTO events (user_id, amount) VALUES (\(a), \(b)), (\(b), 1)"
            case 5: return "UPDATE events SET user_id = \(a) WHERE user_id = \(b)"
            case 6: return "DELETE FROM events WHERE user_id = \(a)"
            default: return "UPDATE events SET amount = amount + 1 WHERE user_id IN (\(a), \(b))"
            }
        }
    }
}

/// Steele, Lea and Flood's SplitMix64.
private struct SplitMix {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next(below bound: UInt64) -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return (z ^ (z >> 31)) % bound
    }
}
