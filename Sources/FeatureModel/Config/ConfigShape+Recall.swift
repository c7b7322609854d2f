extension ConfigShape {
    static let recall = ObjectShape(
        name: "recall", summary: "Lists of items that recommendations are recalled from: `tidemark recall build`.",
        fields: [
            Field(
                "dir", .text(path), "The folder of the built lists: <dir>/<list>/<version>/.", default: "recall"),
            Field(
                "keep", .integer(1...1_000), "How many versions of a list are kept, the live one included.",
                default: "3"),
            Field(
                "refresh", .duration(.milliseconds(50)...(.hours(1))), "How often the daemon looks for a new version.",
                default: "2s"),
            Field(
                "max_bytes", .byteCount(1 << 20...1 << 38), "The most bytes of all loaded lists together.",
                default: "1GiB"),
            Field(
                "lists", .map(.key, .object(recallList), count: 1...100), "The lists, by the name that pipelines use.",
                required: true),
        ])

    static let recallList = ObjectShape(
        name: "recall_list", summary: "One list: how it finds its items, and the events that it is built from.",
        fields: [
            Field(
                "kind", .word(RecallKind.allCases.map(\.rawValue)),
                "popularity: what most events are about. trending: what has more of them lately than its share before. "
                    + "newest: what came last. co_occurrence: what the same users met within a session. "
                    + "vectors: what lies near in a space of item vectors.",
                required: true),
            Field("from", .text(.name), "The source, by its name.", required: true),
            Field(
                "query", .text(statement),
                "One SELECT without parameters: one row an event, or an item (newest, vectors of a column).",
                required: true),
            Field("item", .text(.name), "The entity whose key column the query has, for the item.", required: true),
            Field(
                "user", .text(.name),
                "The entity whose key column the query has, for the user: co_occurrence and vectors."),
            Field(
                "time", .either([.text(.column), .object(DefinitionsShape.timeColumn)]),
                "The column of when an event happened. Everything counts from the newest event of the source, not from the "
                    + "wall clock."),
            Field("weight", .text(.column), "The column of an event's weight.", default: "each counts 1"),
            Field("segment", .text(.column), "A column by whose values there are lists beside the whole one."),
            Field(
                "window", .duration(.seconds(1)...(.days(36_500))), "How far back events count.",
                default: "all of them; 7d for trending"),
            Field(
                "short", .duration(.seconds(1)...(.days(36_500))),
                "The newest part of the window, held against the rest of it: trending.", default: "1d"),
            Field(
                "half_life", .duration(.seconds(1)...(.days(36_500))), "The age at which an event counts half.",
                default: "no decay"),
            Field(
                "session", .duration(.seconds(1)...(.days(365))),
                "Two items count together when one user met them within this time: co_occurrence.", default: "1h"),
            Field(
                "shrink", .number(0...1_000_000),
                "Added to the denominator of the cosine of two items, so that few meetings prove little: co_occurrence.",
                default: "10"),
            Field(
                "size", .integer(1...100_000), "How many items, or how many neighbours of an item.",
                default: "500 items, 50 neighbours"),
            Field(
                "timeout", .duration(.milliseconds(100)...(.hours(24))),
                "How long starting the query, and each page of it, may take.",
                default: "the source's statement_timeout"),
            Field("limits", .object(recallLimits), "What a build holds in memory at most."),
            Field("vectors", .object(vectors), "How vectors are made, or where they are."),
        ])

    private static let recallLimits = ObjectShape(
        name: "recall_limits", summary: "What a build holds in memory at most. What is left out is reported.",
        fields: [
            Field(
                "events", .integer(1...2_000_000_000),
                "Events held at once, the newest, 32 bytes each while they are sorted: co_occurrence and vectors.",
                default: "20000000"),
            Field("history", .integer(2...100_000), "Events of one user that count, the newest.", default: "500"),
            Field("items", .integer(1...100_000_000), "Distinct items; more end the build.", default: "5000000"),
            Field(
                "segments", .integer(1...100_000), "Segments, those with the most events.", default: "1000"),
        ])

    private static let vectors = ObjectShape(
        name: "vectors", summary: "Vectors of items: factorized from who met what, or read from a column.",
        fields: [
            Field(
                "column", .text(.column), "The column that holds an item's vector.", default: "they are made here"),
            Field("dimension", .integer(2...1_024), "How many numbers a vector has.", default: "64"),
            Field("iterations", .integer(1...200), "Rounds of alternating least squares.", default: "10"),
            Field("regularization", .number(0.000001...1_000_000), "The ridge of each problem.", default: "0.05"),
            Field(
                "confidence", .number(0.001...1_000_000), "How much a meeting counts beside one that never was.",
                default: "20"),
            Field(
                "max_items", .integer(1...5_000_000),
                "The most items: each is compared with all, which takes time by the square of their number. More end the "
                    + "build. 20000 of 64 numbers take two cores 4 s.", default: "200000"),
        ])

    private static let statement = TextRule(expected: "a query", maximumLength: 65_536)
}
