import Extraction
import FeatureModel
import LocalDatabase
import Testing

/// Random writers beside a following reader: what the follower has must be what the query says, each time it catches up.
@Suite(.timeLimit(.minutes(3)))
struct SQLiteRandomTests {
    private static let schema = """
        CREATE TABLE e(id INTEGER PRIMARY KEY, user INTEGER NOT NULL, kind TEXT, price REAL, code TEXT UNIQUE);
        CREATE INDEX eu ON e(user);
        """

    private static let aggregate = """
        SELECT user, count(*) AS n, sum(price) AS spent, max(code) AS code FROM e WHERE user IN (:keys) GROUP BY user
        """

    private func view(_ query: String, _ watermark: Watermark) -> FeatureView {
        makeView(
            keys: [("user", .int64)], query: query, watermark: watermark,
            features: [("n", "int64"), ("spent", "float64"), ("code", "string")])
    }

    private func statement(_ random: inout SeededRandom) -> String {
        let user = Int.random(in: 0..<20, using: &random)
        let code = "'c\(Int.random(in: 0..<60, using: &random))'"
        let price = Int.random(in: 0..<1000, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4: return "INSERT OR REPLACE INTO e(user, kind, price, code) VALUES (\(user), 'v', \(price), \(code))"
        case 4: return "UPDATE e SET user = \(user) WHERE id % 7 = \(price % 7)"
        case 5: return "UPDATE OR REPLACE e SET code = \(code) WHERE user = \(user) AND id % 3 = 0"
        case 6: return "DELETE FROM e WHERE user = \(user)"
        case 7: return "UPDATE e SET price = price + 1 WHERE user = \(user)"
        case 8: return "REPLACE INTO e(id, user, price, code) VALUES (\(price % 40), \(user), \(price), \(code))"
        default: return "INSERT OR IGNORE INTO e(user, price, code) VALUES (\(user), \(price), \(code))"
        }
    }

    private func write(_ file: SourceFile, _ random: inout SeededRandom) async throws {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            var script = (0..<Int.random(in: 1...6, using: &random)).map { _ in statement(&random) }
            let isRolledBack = Int.random(in: 0..<5, using: &random) == 0
            script.insert("BEGIN IMMEDIATE", at: 0)
            script.append(isRolledBack ? "ROLLBACK" : "COMMIT")
            try await file.run(script.joined(separator: ";"))
        }
    }

    private func truth(_ file: SourceFile) async throws -> [EntityKey: [FeatureValue]] {
        var rows: [EntityKey: [FeatureValue]] = [:]
        for row in try await file.rows("SELECT user, count(*), sum(price), max(code) FROM e GROUP BY user") {
            guard case .integer(let user) = row[0], case .integer(let count) = row[1] else { continue }
            var spent = FeatureValue.null
            if case .real(let sum) = row[2] { spent = .float64(sum) }
            var code = FeatureValue.null
            if case .text(let text) = row[3] { code = .string(text) }
            rows[key(user)] = [.int64(count), spent, code]
        }
        return rows
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func followersOfATrackedTableHaveWhatTheQuerySays(seed: UInt64) async throws {
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let file = try await SourceFile(Self.schema)
        let view = view(Self.aggregate, .tracked("e", "user"))
        let listed = self.view(
            "SELECT user, count(*) AS n, sum(price) AS spent, max(code) AS code FROM e GROUP BY user",
            .tracked("e", "user"))
        let reader = try await file.reader(view)
        let listReader = try await file.reader(listed)
        try await write(file, &random)
        var cursor = try await reader.startCursor()
        var mirror = Mirror(view)
        var other = Mirror(listed)
        try await mirror.walk(reader, limit: 3)
        var otherCursor = cursor
        try await other.walk(listReader, limit: 4)
        for round in 0..<60 {
            try await write(file, &random)
            let limit = Int.random(in: 1...9, using: &random)
            if round % 3 == 0 {
                // A page, and more writes before the next one.
                let page = try await reader.readChanges(after: cursor, limit: limit)
                mirror.apply(page.rows)
                cursor = page.next
                try await write(file, &random)
            }
            cursor = try await mirror.follow(reader, from: cursor, limit: limit)
            otherCursor = try await other.follow(listReader, from: otherCursor, limit: limit)
            let expected = try await truth(file)
            #expect(mirror.rows == expected, "seed \(seed), round \(round)")
            #expect(other.rows == expected, "seed \(seed), round \(round)")
            if mirror.rows != expected || other.rows != expected { return }
        }
        #expect(mirror.positions == mirror.positions.sorted())
        var walked = Mirror(view)
        try await walked.walk(reader, limit: 2)
        #expect(walked.rows == mirror.rows)
    }
}
