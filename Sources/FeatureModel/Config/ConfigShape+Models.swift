extension ConfigShape {
    static let models = Shape.map(.name, .object(model), count: 0...100)

    private static let model = ObjectShape(
        name: "model", summary: "One model that ranks: a folder of versions, or a model of another server.",
        fields: [
            Field(
                "path", .text(path),
                "The folder of the versions: a folder each, with model.json and model.ubj, and `current`, which names one."
            ),
            Field(
                "max_bytes", .byteCount(1_024...4 << 30), "The longest model file that is loaded.", default: "256MiB"),
            Field("keep", .integer(2...1_000), "How many versions a training leaves in the folder.", default: "5"),
            Field(
                "columns", .list(.either([.text(modelFeature), .object(modelColumn)]), count: 1...2_000),
                "What the model reads, in order. A folder's model brings its own; this is for training and for remote models.",
                default:
                    "each recall source of the pipeline and each feature of its service that is a number, flag or time"),
            Field("training", .object(training), "What `tidemark train ranker` learns from."),
            Field("remote", .object(remoteModel), "A model of another server, by the Open Inference Protocol v2."),
        ],
        exactlyOne: ["path", "remote"])

    private static let modelColumn = ObjectShape(
        name: "model_column", summary: "One column of a model's matrix.",
        fields: [
            Field("feature", .text(modelFeature), "A feature of the user or of the item, as view:feature."),
            Field("recall", .text(.name), "A recall source of the pipeline: the score that it gave the candidate."),
            Field(
                "match", .list(.text(modelFeature), count: 2...2),
                "A feature of the user and one of the item: 1 where they are equal, else 0; where the user's is a list, newest "
                    + "first, the share of it that is equal, the n-th element weighing 1/n."),
            Field(
                "encoding", .word(ModelColumnConfig.Encoding.allCases.map(\.rawValue)),
                "How a value becomes a number. age_…: seconds from a time in that unit to now.",
                default: "what the feature's type has", onlyWith: "feature"),
            Field(
                "categories", .list(.text(category), count: 1...10_000),
                "For the encoding category: the texts; the number is the place in this list.",
                default: "one_of of the feature's contract", onlyWith: "encoding"),
        ],
        exactlyOne: ["feature", "recall", "match"])

    private static let remoteModel = ObjectShape(
        name: "remote_model", summary: "A model of another server, by the Open Inference Protocol v2.",
        fields: [
            Field("url", .text(serverURL), "As in http://triton:8000.", required: true),
            Field("model", .text(.key), "The model's name there.", required: true),
            Field("version", .text(.key), "The model's version there.", default: "what the server takes"),
            Field(
                "timeout", .duration(.milliseconds(1)...(.minutes(1))),
                "The longest a call may take; the request's deadline holds as well.", default: "20ms"),
            Field("max_in_flight", .integer(1...10_000), "The most calls under way at once.", default: "64"),
        ])

    private static let training = ObjectShape(
        name: "training", summary: "What a model is trained from.",
        fields: [
            Field(
                "pipeline", .text(.name),
                "The pipeline that the model is for: its entities, recall sources and features.",
                required: true),
            Field("from", .text(.name), "The source of the events.", required: true),
            Field(
                "query", .text(query),
                "One SELECT, a row an event: the keys of user and item, the time, and the grade if there is one.",
                required: true),
            Field("time", .object(DefinitionsShape.timeColumn), "When the event happened.", required: true),
            Field(
                "grade", .text(.column),
                "The column that says how relevant an event makes its item, from 1 to 31, as 1 for a view and 3 for a cart.",
                default: "each event counts 1"),
            Field(
                "horizon", .duration(.seconds(1)...(.days(365))),
                "How far ahead of a moment events are what should have been recommended then.", default: "1h"),
            Field(
                "recent", .integer(1...1_000),
                "How many of a user's newest items recall starts from, and are not recommended again.", default: "20"),
            Field(
                "delay", .duration(.zero...(.days(30))),
                "How much later an event could be read online, as one of these items: about the `every` of their view.",
                default: "0s"),
            Field(
                "max_events", .integer(1...200_000_000),
                "The most events held, 32 bytes each, and the most items; more end the training.",
                default: "10000000"),
            Field("groups", .integer(10...10_000_000), "The most moments to learn from.", default: "10000"),
            Field("test_groups", .integer(10...10_000_000), "The most moments to test with.", default: "3000"),
            Field("negatives", .integer(5...10_000), "The most candidates of a moment to learn from.", default: "60"),
            Field(
                "warmup", .number(0.05...0.9),
                "The share of the events, by time, that recall is built from before the first moment.", default: "0.6"),
            Field(
                "holdout", .number(0.01...0.5),
                "The share of the events, the last by time, that test the model, which never sees them.",
                default: "0.15"
            ),
            Field(
                "history", .map(.name, .object(history), count: 0...1_000),
                "How the values of each view were, by its name. Each view of the columns needs one."),
        ])

    private static let history = ObjectShape(
        name: "history", summary: "The values of a view's features as they were.",
        fields: [
            Field("from", .text(.name), "The source.", default: "that of the events"),
            Field(
                "query", .text(query),
                "One SELECT: the entity's keys, the features, and the time from which they held until the next row of the "
                    + "same keys. Rows of the same keys and time must not differ.",
                required: true),
            Field("time", .object(DefinitionsShape.timeColumn), "From when the values held.", required: true),
            Field(
                "delay", .duration(.zero...(.days(30))),
                "How much later they could be read online: about the view's `every`.", default: "0s"),
            Field(
                "partial", .flag, "Rows tell only what changed: null leaves a feature as it was.", default: "false"),
        ])

    private static let query = TextRule(expected: "a query", maximumLength: 65_536)

    private static let category = TextRule(expected: "a text of at most 1000 characters", maximumLength: 1_000)

    private static let modelFeature = TextRule(
        expected: "view:feature", maximumLength: 129, pattern: "^[A-Za-z_][A-Za-z0-9_]*:[A-Za-z_][A-Za-z0-9_]*$",
        isValid: { ConfigReader.modelFeature($0) != nil })

    private static let serverURL = TextRule(
        expected: "http://HOST:PORT or https://HOST:PORT, without a path", maximumLength: 512,
        pattern: "^https?://[^/@?#]+/?$",
        isValid: { url in
            guard let rest = ["http://", "https://"].first(where: url.hasPrefix).map({ url.dropFirst($0.count) }) else {
                return false
            }
            let host = rest.hasSuffix("/") ? rest.dropLast() : rest
            return !host.isEmpty && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
                && !host.contains { "/@?#".contains($0) }
        })
}
