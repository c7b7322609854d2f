extension ConfigShape {
    static let pipelines = Shape.map(.name, .object(recommendation), count: 0...100)

    static let recommendation = ObjectShape(
        name: "recommendation", summary: "From recall to an answer of POST /v1/recommend.",
        fields: [
            Field("user", .text(.name), "The entity that is recommended to.", required: true),
            Field("item", .text(.name), "The entity that is recommended; it has one key.", required: true),
            Field("k", .integer(1...1_000), "How many items are answered.", default: "20"),
            Field("max_k", .integer(1...1_000), "The most items that a request may ask for.", default: "100"),
            Field(
                "timeout", .duration(.milliseconds(1)...(.minutes(1))),
                "The time of a request that brings no deadline of its own. At most serve.max_timeout.", default: "80ms"),
            Field(
                "slow_call", .duration(.milliseconds(1)...(.minutes(10))),
                "A call of a dependency that takes longer is slow; serve.breaker.slow_share of them open its breaker.",
                default: "timeout"),
            Field(
                "hedge", .number(0...0.5),
                "The most reads of rows that are sent a second time, on another connection, because they take longer than 95 % "
                    + "of the last ones: a share of all; 0 for none.", default: "0"),
            Field(
                "recall", .map(.name, .object(recallSource), count: 1...32),
                "Where candidates come from; the first counts more between equals.", required: true),
            Field("candidates", .integer(1...5_000), "The most candidates that are ranked.", default: "200"),
            Field("filters", .map(.name, .object(filter), count: 0...32), "What candidates must be."),
            Field("features", .text(.name), "The service whose features are read for the ranker."),
            Field("ranker", .object(ranker), "What ranks.", default: "the order of recall", onlyWith: "features"),
            Field("blend", .object(blend), "What the final score is made of.", onlyWith: "ranker"),
            Field(
                "ladder", .list(.word(PipelineConfig.Rung.allCases.map(\.rawValue)), count: 1...4),
                "What is tried, in order. popularity is always last and can be left out.",
                default: "[ranking, recall, last_good, popularity]"),
            Field("fallback", .text(.key), "The list of the last rung.", required: true),
            Field("last_good", .object(lastGood), "The answers kept for the rung last_good."),
            Field("policy", .object(policy), "What is known of items' policy filters without the store."),
        ])

    private static let recallSource = ObjectShape(
        name: "recall source", summary: "Where candidates come from.",
        fields: [
            Field("list", .text(.key), "A list of recall.lists.", required: true),
            Field(
                "seeds", .text(reference),
                "The user's feature that holds the items to start from, the latest first: view:feature."),
            Field(
                "segment", .text(reference),
                "The user's feature that says which segment of the list counts, or a list of them of which the n-th weighs 1/n: "
                    + "view:feature."),
            Field("quota", .integer(1...5_000), "The most candidates it gives.", default: "100"),
            Field(
                "timeout", .duration(.milliseconds(1)...(.minutes(1))),
                "How long it is waited for, within the stage's share.", default: "20ms"),
            Field("weight", .number(0...1_000), "What its scores count beside those of others.", default: "1"),
        ])

    private static let filter = ObjectShape(
        name: "filter", summary: "What candidates must be.",
        fields: [
            Field("not_in", .text(reference), "Not an element of this list of the user: view:feature."),
            Field("feature", .text(reference), "A feature of the item: view:feature."),
            Field("file", .text(path), "Not a line of this file, a key a line; # begins a comment."),
            Field("is", .literal, "What the feature must be.", onlyWith: "feature"),
            Field("one_of", .list(.literal, count: 1...1_000), "What the feature may be.", onlyWith: "feature"),
            Field("none_of", .list(.literal, count: 1...1_000), "What the feature may not be.", onlyWith: "feature"),
            Field("min", .number(-1e15...1e15), "The least it may be.", onlyWith: "feature"),
            Field("max", .number(-1e15...1e15), "The most it may be.", onlyWith: "feature"),
            Field(
                "at_most", .integer(1...1_000), "How many items of one value an answer may have.", onlyWith: "feature"),
            Field(
                "policy", .flag, "Never skipped: an item for which it can't be told leaves.", default: "false"),
        ], exactlyOne: ["not_in", "feature", "file"])

    private static let ranker = ObjectShape(
        name: "ranker", summary: "What ranks.",
        fields: [Field("model", .text(.name), "A model of models.", required: true)])

    private static let blend = ObjectShape(
        name: "blend", summary: "What the final score is made of.",
        fields: [Field("recall", .number(0...1), "The share of the recall score.", default: "0")])

    private static let lastGood = ObjectShape(
        name: "last_good", summary: "The answers kept for the rung last_good.",
        fields: [
            Field("users", .integer(0...1_000_000), "How many users' answers are kept.", default: "10000"),
            Field("max_age", .duration(.seconds(1)...(.days(30))), "How old an answer may be.", default: "1h"),
        ])

    private static let policy = ObjectShape(
        name: "policy", summary: "What is known of items' policy filters without the store.",
        fields: [
            Field(
                "refresh", .duration(.milliseconds(100)...(.hours(1))),
                "How often the items of the fallback list are looked at.", default: "10s"),
            Field(
                "max_age", .duration(.seconds(1)...(.days(7))),
                "What was seen longer ago doesn't count: the item leaves. At least refresh.", default: "1h"),
            Field("items", .integer(1_000...10_000_000), "How many items are remembered.", default: "100000"),
        ])

    static let reference = TextRule(
        expected: "view:feature", maximumLength: 129,
        pattern: "^[A-Za-z_][A-Za-z0-9_]{0,63}:[A-Za-z_][A-Za-z0-9_]{0,63}$",
        isValid: { FeatureReference(spelling: $0) != nil })
}
