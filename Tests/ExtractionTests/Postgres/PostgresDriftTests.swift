import Extraction
import FeatureModel
import Testing
import TidemarkTesting

extension PostgresSuites {
    /// Tables that are not, or no longer, what a view describes.
    @Suite struct PostgresDriftTests {
        private func failure(_ body: () async throws -> Void) async -> ExtractionError? {
            await #expect(throws: ExtractionError.self) { try await body() }
        }

        @Test func addedColumnIsHarmlessAndOthersAreNamed() async throws {
            let shop = try await ShopDatabase()
            try await shop.client.run("INSERT INTO users VALUES (1, 'ann', 10)")
            let view = Shop.profile(query: "SELECT * FROM users")
            let reader = try await shop.open(view)
            let cursor = try await reader.startCursor()
            try await shop.client.run("ALTER TABLE users ADD COLUMN extra int")
            try await shop.client.run("UPDATE users SET score = 11")
            #expect(try await reader.readChanges(after: cursor, limit: 5).rows.values == [.string("ann"), .int32(11)])
            #expect(try await reader.readEntities([key(1)]).values == [.string("ann"), .int32(11)])

            try await shop.client.run("ALTER TABLE users RENAME COLUMN score TO scores")
            for _ in 0..<2 {
                let error = await failure { _ = try await reader.readChanges(after: cursor, limit: 5) }
                #expect(error?.code == .schemaMismatch)
                #expect(error?.detail.contains("profile") == true && error?.detail.contains("\"score\"") == true)
                #expect(error?.detail.contains("int32") == true && error?.detail.contains("scores") == true)
            }
            try await shop.client.run("ALTER TABLE users RENAME COLUMN scores TO score")
            #expect(try await reader.readChanges(after: cursor, limit: 5).rows.keys == [key(1)])
        }

        @Test func changedTypeIsNeverServed() async throws {
            let shop = try await ShopDatabase()
            try await shop.client.run("INSERT INTO users VALUES (1, 'ann', 10)")
            let view = Shop.profile()
            let reader = try await shop.open(view)
            let cursor = try await reader.startCursor()
            #expect(try await reader.readEntities([key(1)]).values == [.string("ann"), .int32(10)])
            try await shop.client.run("ALTER TABLE users ALTER COLUMN score TYPE text USING 'seven'")
            for _ in 0..<2 {
                let error = await failure { _ = try await reader.readEntities([key(1)]) }
                #expect(error?.code == .schemaMismatch)
                #expect(error?.detail.contains("expected int32, found text") == true, "\(error?.description ?? "")")
            }
            let other = await failure { _ = try await reader.readRange(after: nil, limit: 5) }
            #expect(other?.code == .schemaMismatch)
            try await shop.client.run("ALTER TABLE users ALTER COLUMN score TYPE bigint USING 7")
            #expect(try await reader.readEntities([key(1)]).values == [.string("ann"), .int32(7)])
            #expect(try await reader.readChanges(after: cursor, limit: 5).isLast)
        }

        @Test func droppedTableAndMissingTrackingAreNamed() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.open(Shop.profile())
            let cursor = try await reader.startCursor()
            let before = try await reader.history()
            try await shop.client.run("DROP TABLE users")
            #expect(
                await failure { _ = try await reader.readChanges(after: cursor, limit: 5) }?.code == .schemaMismatch)
            #expect(await failure { try await reader.check() }?.code == .schemaMismatch)
            try await shop.client.run(Shop.tables[0])
            #expect(await failure { _ = try await reader.readChanges(after: cursor, limit: 5) }?.code == .notInstalled)
            try await shop.connector.install(for: Shop.profile())
            #expect(try await reader.readChanges(after: cursor, limit: 5).isLast)
            #expect(try await reader.history().identity != before.identity, "another table has another history")
        }

        @Test(arguments: [
            ("SELECT user_id, name FROM users", ExtractionError.Code.schemaMismatch),
            ("SELECT user_id, name, score, score FROM users", .schemaMismatch),
            ("SELECT user_id::text, name, score FROM users", .schemaMismatch),
            ("SELECT user_id, name, score FROM nowhere", .schemaMismatch),
            ("SELECT user_id, name, score FROM users WHERE", .misconfigured),
            ("SELECT user_id, name, score FROM users; SELECT 1", .misconfigured),
            ("DELETE FROM users RETURNING user_id, name, score", .misconfigured),
            ("SELECT user_id, name, score FROM users WHERE name IN (:keys) AND user_id = lower(name)", .schemaMismatch),
        ])
        func unusableQueriesAreRefused(query: String, code: ExtractionError.Code) async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.connector.open(Shop.profile(query: query))
            #expect(await failure { try await reader.check() }?.code == code)
        }

        @Test func oneBadRowIsAFaultAndTheOthersCome() async throws {
            let shop = try await ShopDatabase()
            try await shop.client.run("CREATE TABLE big (user_id bigint, name text, score bigint)")
            let view = Shop.profile(table: "big", query: "SELECT user_id, name, score FROM big")
            let reader = try await shop.open(view)
            let cursor = try await reader.startCursor()
            try await shop.client.run(
                "INSERT INTO big VALUES (1, 'a', 1), (2, 'b', 3000000000), (3, repeat('x', 1048577), 3), (NULL, 'n', 4)"
            )
            let page = try await reader.readChanges(after: cursor, limit: 100)
            #expect(page.rows.keys == [key(1)])
            #expect(page.rows.removed.isEmpty)
            #expect(page.rows.faults.map(\.key) == [key(2), key(3)])
            #expect(page.rows.faults.map(\.rule) == ["range", "too_large"])
            #expect(page.rows.faults.map(\.column) == ["score", "name"])
            let walk = try await reader.readRange(after: nil, limit: 100)
            #expect(walk.rows.keys == [key(1)] && walk.next == nil)
            #expect(walk.rows.faults.map(\.rule) == ["range", "too_large", "null_key"])
        }

        @Test func keysOfEveryKindSurvive() async throws {
            let shop = try await ShopDatabase()
            try await shop.client.run(
                "CREATE TABLE pairs (u uuid, t text, b bytea, n numeric, v int, PRIMARY KEY (u, t, b, n))")
            let entity = Entity(
                name: "pair",
                keys: [
                    .init(name: "u", type: .string), .init(name: "t", type: .string), .init(name: "b", type: .bytes),
                    .init(name: "n", type: .int64),
                ])
            // Several keys stand in the query as rows of parameters, so a uuid is compared as text there.
            for query in ["SELECT * FROM pairs", "SELECT * FROM pairs WHERE (u::text, t, b, n) IN (:keys)"] {
                let view = Shop.view(
                    "pairs", entity: entity, query: query,
                    watermark: .tracked(TrackedTable(table: "pairs", keyColumns: ["u", "t", "b", "n"])),
                    features: [Feature(name: "v", type: .scalar(.int32))])
                let reader = try await shop.open(view)
                let cursor = try await reader.startCursor()
                try await shop.client.run(
                    """
                    INSERT INTO pairs SELECT md5(n::text)::uuid, t, decode(b, 'hex'), n, n
                    FROM generate_series(1, 5) n, unnest(ARRAY['', 'a,b', E'%{"\\\\\\n\\'', 'ü😀', 'Ab', 'aB', ' x ']) t,
                    unnest(ARRAY['', '00ff', '5c78']) b
                    """)
                var mirror = Mirror(view)
                let middle = try await mirror.follow(reader, from: cursor, limit: 4)
                #expect(mirror.rows.count == 105)
                #expect(mirror.faults.isEmpty)
                var walk = Mirror(view)
                try await walk.walk(reader, limit: 4)
                #expect(walk.rows == mirror.rows)
                let some = Array(mirror.rows.keys.prefix(20))
                #expect(Set(try await reader.readEntities(some).keys) == Set(some))
                try await shop.client.run("UPDATE pairs SET t = 'moved' || b::text WHERE t = ''")
                try await shop.client.run("DELETE FROM pairs WHERE t = 'a,b'")
                _ = try await mirror.follow(reader, from: middle, limit: 4)
                var after = Mirror(view)
                try await after.walk(reader, limit: 50)
                #expect(after.rows == mirror.rows && mirror.rows.count == 90)
                try await shop.client.run("TRUNCATE pairs")
            }
        }

        @Test func oddNamesAndSchemasAreQuoted() async throws {
            let shop = try await ShopDatabase()
            try await shop.client.run(all: [
                "CREATE SCHEMA \"Odd \"\"one\"",
                "CREATE TABLE \"Odd \"\"one\".\"my.table\" (\"Key's\" text PRIMARY KEY, \"select\" int)",
            ])
            let view = Shop.view(
                "odd", entity: Entity(name: "odd", keys: [.init(name: "Key's", type: .string)]),
                query: "SELECT * FROM \"Odd \"\"one\".\"my.table\" -- no end",
                watermark: .tracked(TrackedTable(table: "\"Odd \"\"one\".\"my.table\"", keyColumns: ["Key's"])),
                features: [Feature(name: "select", type: .scalar(.int32))])
            let reader = try await shop.open(view)
            let cursor = try await reader.startCursor()
            try await shop.client.run("INSERT INTO \"Odd \"\"one\".\"my.table\" VALUES ('a', 1), ('b', 2)")
            try await shop.client.run("DELETE FROM \"Odd \"\"one\".\"my.table\" WHERE \"Key's\" = 'b'")
            let page = try await reader.readChanges(after: cursor, limit: 5)
            #expect(page.rows.keys.map(\.text) == ["a"] && page.rows.removed.map(\.key.text) == ["b"])
        }
    }
}
