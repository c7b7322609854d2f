import FeatureModel
import Testing

/// Each row is one mistake; the compiler must name file, line and key, and say what should stand there.
@Suite struct WrongDefinitionTests {
    static let right = """
        entities:
          user: {keys: {user_id: int64}}
        views:
          activity:
            entity: user
            source:
              from: shop
              query: SELECT user_id, clicks, updated_at FROM activity
              watermark: {column: updated_at}
              event_time: updated_at
            every: 30s
            ttl: 7d
            features:
              clicks: int64
        services:
          ranker: [activity]
        """

    static let shapes = [
        WrongFile(12, "    ttl: 7 days", "views.activity.ttl", "found \"7 days\"", "duration such as 7d, 12h or 90s"),
        WrongFile(12, "    ttl: 7", "views.activity.ttl", "found 7", "duration such as"),
        WrongFile(12, "    ttl: -7d", "views.activity.ttl", "found \"-7d\"", "duration such as"),
        WrongFile(12, "    ttl: .5h", "views.activity.ttl", "found \".5h\""),
        WrongFile(12, "    ttl: 1s", "views.activity.ttl", "from 10s to 3650d"),
        WrongFile(12, "    ttl:", "views.activity.ttl", "found nothing"),
        WrongFile(12, "    ttl: [7d]", "views.activity.ttl", "found a list"),
        WrongFile(12, "    tll: 7d", "views.activity.tll", "found \"tll\"", "did you mean \"ttl\"?"),
        WrongFile(12, "    ttl: 7d\n    ttl: 8d", at: 13, "", "the key \"ttl\" twice", "line 12"),
        WrongFile(12, "", at: 5, "views.activity", "found no ttl", "the key ttl"),
        WrongFile(11, "    every: [30s]", "views.activity.every", "found a list"),
        WrongFile(3, "veiws:", "veiws", "did you mean \"views\"?"),
        WrongFile(4, "  9lives:", "views", "found \"9lives\"", "a name: letters"),
        WrongFile(4, "  a-b:", "views", "found \"a-b\""),
        WrongFile(2, "  user: {keys: {user_id: int46}}", "entities.user.keys.user_id", "did you mean \"int64\"?"),
        WrongFile(2, "  user: {keys: {}}", "entities.user.keys", "found 0 entries", "1 to 8"),
        WrongFile(2, "  user: {keys: [user_id]}", "entities.user.keys", "found a list", "a mapping"),
        WrongFile(
            2,
            "  user: {keys: {a: int64, b: int64, c: int64, d: int64, e: int64, f: int64, g: int64, h: int64, i: int64}}",
            "entities.user.keys", "found 9 entries"),
        WrongFile(2, "  user: {}", "entities.user", "found no keys"),
        WrongFile(5, "    entity: 5", "views.activity.entity", "found 5", "a name"),
        WrongFile(
            14, "      clicks: int46", "views.activity.features.clicks", "found \"int46\"", "did you mean \"int64\"?"),
        WrongFile(14, "      clicks: vector(0)", "views.activity.features.clicks", "vector(n) with n up to 65536"),
        WrongFile(14, "      clicks: [strng]", "views.activity.features.clicks[0]", "did you mean \"string\"?"),
        WrongFile(14, "      clicks: {default: 0}", "views.activity.features.clicks", "found no type"),
        WrongFile(
            14, "      clicks: {type: int64, contract: {min_length: 3}}",
            "views.activity.features.clicks.contract.min_length", "did you mean \"max_length\"?"),
        WrongFile(
            14, "      clicks: {type: int64, contract: {nullable: yes}}",
            "views.activity.features.clicks.contract.nullable", "found \"yes\"", "true or false"),
        WrongFile(
            14, "      clicks: {type: int64, contract: {max_null_rate: 1.5}}",
            "views.activity.features.clicks.contract.max_null_rate", "found 1.5", "from 0 to 1"),
        WrongFile(
            14, "      clicks: {type: int64, contract: {max_null_rate: .nan}}",
            "views.activity.features.clicks.contract.max_null_rate", "found \".nan\""),
        WrongFile(
            9, "      watermark: {columm: updated_at}", "views.activity.source.watermark.columm",
            "did you mean \"column\"?"),
        WrongFile(9, "      watermark: {}", "views.activity.source.watermark", "none of them", "column or track"),
        WrongFile(
            9, "      watermark: {column: a, track: t}", "views.activity.source.watermark", "found column and track"),
        WrongFile(
            9, "      watermark: {track: t, settle: 1s}", "views.activity.source.watermark.settle",
            "no column beside it"),
        WrongFile(
            9, "      watermark: {column: a, unit: min}", "views.activity.source.watermark.unit", "s, ms or us"),
        WrongFile(
            9, "      watermark: {track: \"a b\"}", "views.activity.source.watermark.track", "a table or schema.table"),
        WrongFile(
            9, "      watermark: {column: a, lookback: soon}", "views.activity.source.watermark.lookback",
            "found \"soon\"", "a duration", "or a whole number"),
        WrongFile(
            9, "      watermark: {column: \"updated at\"}", "views.activity.source.watermark.column",
            "a column: letters"),
        WrongFile(11, "    every: 30s\n    activate: later", at: 12, "views.activity.activate", "automatic or manual"),
        WrongFile(
            11, "    every: 30s\n    contract: {on_breach: halt}", at: 12, "views.activity.contract.on_breach",
            "found \"halt\"", "warn or stop"),
        WrongFile(11, "    every: 30s\n    key: Activity", at: 12, "views.activity.key", "found \"Activity\"", "a-z"),
        WrongFile(16, "  ranker: activity", "services.ranker", "found \"activity\"", "a list"),
        WrongFile(16, "  ranker: []", "services.ranker", "found 0 elements"),
        WrongFile(16, "  ranker: [\"a:b:c\"]", "services.ranker[0]", "view:feature"),
        WrongFile(2, "", at: 1, "entities", "found nothing", "a mapping"),
    ]

    static let meanings = [
        WrongFile(
            12, "    ttl: 7d\n    sweep: 5d", at: 13, "views.activity.sweep", "found \"5d\"",
            "at most ttl/2 = 7d/2 = 3d12h"),
        WrongFile(12, "    ttl: 1m", at: 11, "views.activity.every", "found \"30s\"", "at most ttl/4 = 1m/4 = 15s"),
        WrongFile(
            12, "    ttl: 7d\n    max_age: 8d", at: 13, "views.activity.max_age", "at most ttl = 7d", "still be stored"),
        WrongFile(12, "    ttl: 7d\n    max_age: 30s", at: 13, "views.activity.max_age", "more than every = 30s"),
        WrongFile(
            10, "    max_age: 1h", at: 10, "views.activity.max_age", "without source.event_time", "tell the age"),
        WrongFile(
            9, "      watermark: {column: updated_at, settle: 2m, lookback: 1m}",
            "views.activity.source.watermark.lookback", "found \"1m\"", "at least settle = 2m"),
        WrongFile(
            9, "      watermark: {column: id, unit: ms, lookback: 100}", "views.activity.source.watermark.lookback",
            "found 100", "a duration", "unit: ms"),
        WrongFile(
            9, "      watermark: {column: id, settle: 1s, lookback: 100}", "views.activity.source.watermark.settle",
            "no settle for a sequence"),
        WrongFile(
            9, "      watermark: {track: activity, key: [a, b]}", "views.activity.source.watermark.key",
            "found 2 columns", "one for each key of the entity user (user_id)"),
        WrongFile(
            9, "      watermark: {column: a, tie_breaker: [b, b]}", "views.activity.source.watermark.tie_breaker",
            "a column twice"),
        WrongFile(5, "    entity: usr", "views.activity.entity", "found \"usr\"", "did you mean \"user\"?"),
        WrongFile(14, "      user_id: int64", "views.activity.features.user_id", "no key of the entity user"),
        WrongFile(10, "      event_time: user_id", "views.activity.source.event_time", "no key of the entity user"),
        WrongFile(
            10, "      event_time: updated_at\n      deleted: updated_at", at: 11, "views.activity.source.deleted",
            "another column than event_time"),
        WrongFile(
            8, "      query: DELETE FROM activity", "views.activity.source.query", "found \"DELETE\"", "SELECT or WITH"),
        WrongFile(8, "      query: SELECT 1; SELECT 2", "views.activity.source.query", "several statements"),
        WrongFile(8, "      query: SELECT 'it", "views.activity.source.query", "text in quotes that doesn't end"),
        WrongFile(8, "      query: SELECT 1 /* why", "views.activity.source.query", "a comment that doesn't end"),
        WrongFile(8, "      query: \"-- nothing\"", "views.activity.source.query", "no statement"),
        WrongFile(
            8, "      query: SELECT * FROM a WHERE user_id IN (:keys)", "views.activity.source.query",
            "a query with :keys alone", "`changes` or `watermark.track`"),
        WrongFile(
            8, "      query: SELECT * FROM a WHERE user_id IN (:kyes)", "views.activity.source.query",
            "found :kyes",
            "did you mean \":keys\"?"),
        WrongFile(
            8, "      query: SELECT ':keys' FROM a", "views.activity.source.query", ":keys in quotes or in a comment"),
        WrongFile(
            8, "      query: SELECT user_id FROM a\n      changes: SELECT user_id, updated_at FROM b", at: 9,
            "views.activity.source.changes", "beside a query without :keys", "WHERE user_id IN (:keys)"),
        WrongFile(
            8, "      query: SELECT user_id FROM a\n      entities: SELECT user_id FROM b", at: 9,
            "views.activity.source.entities", "beside a query without :keys"),
        WrongFile(
            8,
            "      query: SELECT user_id FROM a WHERE user_id IN (:keys)\n      changes: SELECT user_id FROM b WHERE x = :keys",
            at: 9, "views.activity.source.changes", "found :keys", "no parameter here"),
        WrongFile(
            9, "      changes: SELECT user_id FROM b\n      watermark: {track: a}", at: 9,
            "views.activity.source.changes", "beside watermark.track"),
        WrongFile(
            14, "      clicks: {type: int32, default: 3000000000}", "views.activity.features.clicks.default",
            "found 3000000000", "int32, from -2147483648 to 2147483647"),
        WrongFile(
            14, "      clicks: {type: int64, default: 1.5}", "views.activity.features.clicks.default", "a whole number"),
        WrongFile(
            14, "      clicks: {type: int64, default: \"1\"}", "views.activity.features.clicks.default", "found \"1\""),
        WrongFile(
            14, "      clicks: {type: float32, default: 1e39}", "views.activity.features.clicks.default", "float32"),
        WrongFile(
            14, "      clicks: {type: float64, default: .inf}", "views.activity.features.clicks.default", "finite"),
        WrongFile(
            14, "      clicks: {type: timestamp, default: yesterday}", "views.activity.features.clicks.default",
            "RFC 3339"),
        WrongFile(
            14, "      clicks: {type: bytes, default: \"a\"}", "views.activity.features.clicks.default", "Base64"),
        WrongFile(
            14, "      clicks: {type: vector(2), default: [1]}", "views.activity.features.clicks.default", "2 numbers"),
        WrongFile(
            14, "      clicks: {type: [int64], default: 1}", "views.activity.features.clicks.default", "a list of int64"
        ),
        WrongFile(
            14, "      clicks: {type: int64, contract: {min: 5, max: 4}}",
            "views.activity.features.clicks.contract.min",
            "found 5", "at most max = 4"),
        WrongFile(
            14, "      clicks: {type: string, contract: {min: 5}}", "views.activity.features.clicks.contract.min",
            "a bound for string"),
        WrongFile(
            14, "      clicks: {type: int64, contract: {max: 9007199254740993}}",
            "views.activity.features.clicks.contract.max", "2^53"),
        WrongFile(
            14, "      clicks: {type: int64, contract: {max_length: 5}}",
            "views.activity.features.clicks.contract.max_length", "only for string, bytes and lists"),
        WrongFile(
            14, "      clicks: {type: int64, contract: {nullable: false, max_null_rate: 0.1}}",
            "views.activity.features.clicks.contract.max_null_rate", "nullable: false"),
        WrongFile(
            14, "      clicks: {type: string, default: d, contract: {one_of: [a, b]}}",
            "views.activity.features.clicks.default", "one of the contract's one_of"),
        WrongFile(
            14, "      clicks: {type: string, contract: {one_of: [a, a]}}",
            "views.activity.features.clicks.contract.one_of[1]", "\"a\" twice"),
        WrongFile(
            14, "      clicks: {type: int64, default: -1, contract: {min: 0}}",
            "views.activity.features.clicks.default",
            "at least the contract's min"),
        WrongFile(
            14, "      clicks: {type: [int64], contract: {one_of: [1]}}",
            "views.activity.features.clicks.contract.one_of",
            "only for scalars"),
        WrongFile(4, "  Activity:", at: 4, "views.Activity", "a name that can't be one", "write key: activity"),
        WrongFile(7, "      from: shopp", "views.activity.source.from", "found \"shopp\"", "did you mean \"shop\"?"),
        WrongFile(16, "  ranker: [activty]", "services.ranker[0]", "found \"activty\"", "did you mean \"activity\"?"),
        WrongFile(16, "  ranker: [\"activity:click\"]", "services.ranker[0]", "did you mean \"clicks\"?"),
        WrongFile(16, "  ranker: [activity, \"activity:clicks\"]", "services.ranker[1]", "again", "each feature once"),
        WrongFile(3, "other: 1\nviews:", at: 3, "other", "found \"other\"", "a key of definitions"),
    ]

    @Test(arguments: shapes + meanings)
    func mistakeIsNamedWithItsPlace(_ wrong: WrongFile) {
        let name = "schemas/shop/views.yaml"
        do {
            _ = try Catalog.compile(project: "shop", files: [(name, wrong.file(from: Self.right))], sources: ["shop"])
            Issue.record("accepted: \(wrong.text)")
        } catch {
            wrong.expect(in: error, file: name)
        }
    }

    @Test func theFileIsRightWithoutMistakes() throws {
        let catalog = try Catalog.compile(
            project: "shop", files: [("views.yaml", Array(Self.right.utf8))], sources: ["shop"])
        #expect(catalog.views.count == 1)
        #expect(Self.shapes.count + Self.meanings.count >= 45)
    }

    @Test func everyFormOfAnErrorReadsAsOneSentence() {
        let error = DefinitionError(
            file: "schemas/shop/views.yaml", line: 12, column: 5, path: "views.user_activity.ttl", found: "\"7 days\"",
            expected: "a duration such as 7d, 12h or 90s")
        #expect(
            error.description
                == "schemas/shop/views.yaml:12: views.user_activity.ttl: found \"7 days\", expected a duration such as 7d, "
                + "12h or 90s")
    }
}
