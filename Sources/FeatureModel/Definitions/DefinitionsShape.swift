/// The declaration of `schemas/<project>/*.yaml`.
enum DefinitionsShape {
    static let maximumViews = 1_000
    static let maximumFeatures = 1_000
    static let maximumKeys = 8
    static let maximumEntities = 1_000
    static let maximumServices = 1_000

    static let root = ObjectShape(
        name: "definitions",
        summary: "Definitions of a project. All files of its folder are read as one; a name stands in one of them.",
        fields: [
            Field(
                "entities", .map(.name, .object(entity), count: 0...maximumEntities),
                "The kinds of things that features describe, by name."),
            Field(
                "views", .map(.name, .object(view), count: 0...maximumViews),
                "Feature views by name: each keeps rows of features for one entity in step with one source."),
            Field(
                "services",
                .map(.name, .list(.text(serviceEntry), count: 1...maximumFeatures), count: 0...maximumServices),
                "Named lists of features that a model reads together: \"view\" for all features of a view, or "
                    + "\"view:feature\"."),
        ])

    static let entity = ObjectShape(
        name: "entity", summary: "A kind of thing that features describe.",
        fields: [
            Field(
                "keys",
                .map(.name, .word(EntityKeyType.allCases.map(\.rawValue)), count: 1...maximumKeys),
                "The key columns in order, each with its type.", required: true)
        ])

    static let view = ObjectShape(
        name: "view", summary: "Rows of features for one entity, kept in step with one source.",
        fields: [
            Field("entity", .text(.name), "The name of the entity the rows are about.", required: true),
            Field("source", .object(source), "Where the rows come from.", required: true),
            Field(
                "every", .duration(.milliseconds(100)...(.days(7))),
                "How often changes are read. At most a quarter of the ttl.", required: true),
            Field(
                "ttl", .duration(.seconds(10)...(.days(3_650))),
                "How long a row stays in the store when nothing writes or renews it.", required: true),
            Field(
                "max_age", .duration(.seconds(1)...(.days(3_650))),
                "Rows whose event is older read as OUTSIDE_MAX_AGE. Needs source.event_time; at most the ttl."),
            Field(
                "sweep", .duration(.seconds(1)...(.days(3_650))),
                "How often the whole source is walked to renew expiries, find hard deletes and repair what differs. At "
                    + "most half the ttl.", default: "a quarter of the ttl, at most 1d"),
            Field(
                "key", .text(.key),
                "Stands for the view in row keys; two views can't share one. Changing it moves the view to new rows.",
                default: "the view's name"),
            Field(
                "features", .map(.name, featureShape, count: 1...maximumFeatures),
                "The features by name, in the order of the packed row: a type, or a mapping with type, default and "
                    + "contract.", required: true),
            Field("contract", .object(viewContract), "What the view's rows together must satisfy."),
            Field(
                "activate", .word(FeatureView.Activation.allCases.map(\.rawValue)),
                "What happens when a new version has been built: it becomes current by itself or by `tidemark activate`.",
                default: "automatic"),
            Field(
                "keep_previous", .duration(.zero...(.days(365))),
                "How long the version before the current one goes on being synced, ready for a rollback.", default: "1d"
            ),
        ])

    static let source = ObjectShape(
        name: "source", summary: "Where a view's rows come from.",
        fields: [
            Field("from", .text(.name), "The name of a source in the config.", required: true),
            Field(
                "query", .text(sql),
                "One SELECT or WITH statement that returns the entity's key columns, the features, and the columns named "
                    + "by watermark, event_time and deleted. With `:keys` it computes the features of given entities, as "
                    + "in `WHERE visitorid IN (:keys)`; then `changes` or `watermark.track` says which entities.",
                required: true),
            Field(
                "changes", .text(sql),
                "For a query with `:keys`: a SELECT of the entity's keys and the watermark column, which tells whose "
                    + "features may have changed."),
            Field(
                "entities", .text(sql),
                "For a query with `:keys`: a SELECT of all entity keys, for first loads and sweeps.",
                default: "the distinct keys of changes, or of the tracked table"),
            Field("watermark", .object(watermark), "How changed rows are found.", required: true),
            Field(
                "event_time", .either([.text(.column), .object(timeColumn)]),
                "When what a row tells happened: the newest event wins. A timestamp, RFC 3339 text, or an integer time with "
                    + "its unit."),
            Field(
                "deleted", .text(.column),
                "A column that is true (not null, not 0, not false, not empty) in rows that are deleted."),
        ])

    static let timeColumn = ObjectShape(
        name: "time_column", summary: "A column that holds a time.",
        fields: [
            Field("column", .text(.column), "The column's name.", required: true),
            Field(
                "unit", .word(TimeColumn.Unit.allCases.map(\.rawValue)),
                "What an integer counts since 1970: s, ms or us. Without it the column is a timestamp or RFC 3339 text."
            ),
        ])

    static let watermark = ObjectShape(
        name: "watermark",
        summary:
            "How changed rows are found: by a column, or exactly by tracking a table (see `tidemark source install`).",
        fields: [
            Field(
                "column", .text(.column),
                "A column of the query (of `changes` where there is one) that grows with each change: a timestamp, RFC 3339 "
                    + "text, an integer time with its unit, or an increasing integer."),
            Field(
                "unit", .word(TimeColumn.Unit.allCases.map(\.rawValue)),
                "What an integer counts since 1970: s, ms or us. Without it an integer is a plain increasing sequence.",
                onlyWith: "column"),
            Field(
                "tie_breaker", .list(.text(.column), count: 1...maximumKeys),
                "Columns that, behind the watermark column, make the reading order total.",
                default: "the entity's keys", onlyWith: "column"),
            Field(
                "settle", .duration(.zero...(.days(1))),
                "Rows younger than this by the source's clock are left for the next run. For times only.",
                default: "2s for times, 0s for sequences", onlyWith: "column"),
            Field(
                "lookback", .either([.duration(.zero...(.days(30))), .integer(0...1_000_000_000)]),
                "How far behind the watermark each run starts reading again: a duration for times, at least settle; a whole "
                    + "number for sequences.", default: "1m (or settle, if longer) for times, 0 for sequences",
                onlyWith: "column"),
            Field(
                "track", .text(table),
                "A table whose changes are tracked exactly, deletes too, once `tidemark source install` has set it up."),
            Field(
                "key", .list(.text(.column), count: 1...maximumKeys),
                "The columns of the tracked table that name the entity, one for each of its keys, in order.",
                default: "the entity's keys", onlyWith: "track"),
        ],
        exactlyOne: ["column", "track"])

    static let viewContract = ObjectShape(
        name: "view_contract", summary: "What a view's rows together must satisfy.",
        fields: [
            Field(
                "max_quarantine_rate", .number(0...1),
                "The share of quarantined rows above which a run is in breach.", default: "0.05"),
            Field(
                "max_row_count_change", .number(0...1),
                "The share by which a full load or sweep may change the number of rows.", default: "any"),
            Field(
                "on_breach", .word(ViewContract.BreachAction.allCases.map(\.rawValue)),
                "warn: the run goes on and the breach is counted. stop: the view stops before the chunk in breach is "
                    + "written, and its watermark stays.", default: "stop"),
        ])

    static let featureShape = Shape.either([.text(featureType), listType, .object(feature)])

    static let feature = ObjectShape(
        name: "feature", summary: "One feature.",
        fields: [
            Field(
                "type", .either([.text(featureType), listType]),
                "bool, int32, int64, float32, float64, string, bytes or timestamp; [type] for a list of one of them; "
                    + "vector(n) for n float32.", required: true),
            Field(
                "default", .literal,
                "Stands in where no usable value is stored. Of the feature's type; a timestamp in RFC 3339, bytes in Base64."
            ),
            Field(
                "contract", .object(featureContract), "What each value must satisfy; a row that doesn't is quarantined."
            ),
        ])

    static let featureContract = ObjectShape(
        name: "feature_contract", summary: "What each value of a feature must satisfy.",
        fields: [
            Field("nullable", .flag, "false makes null a violation.", default: "true"),
            Field("min", .literal, "The smallest value allowed, of the feature's type: numbers and timestamps."),
            Field("max", .literal, "The largest value allowed, of the feature's type: numbers and timestamps."),
            Field("one_of", .list(.literal, count: 1...1_000), "The only values allowed, null apart. For scalars."),
            Field(
                "max_length", .integer(0...16_777_216),
                "The longest text in bytes of UTF-8, the most bytes, or the most elements of a list."),
            Field("max_null_rate", .number(0...1), "The share of nulls above which a run is in breach."),
        ])

    private static let listType = Shape.list(.word(ScalarType.allCases.map(\.rawValue)), count: 1...1)

    private static let typeNames = ScalarType.allCases.map(\.rawValue).joined(separator: "|")

    private static let featureType = TextRule(
        expected: "\(ScalarType.allCases.map(\.rawValue).joined(separator: ", ")), a list of one as in [int64], or "
            + "vector(n) with n up to \(FeatureType.maximumDimension)",
        maximumLength: 32, pattern: "^(\(typeNames)|\\[(\(typeNames))\\]|vector\\([1-9][0-9]{0,4}\\))$",
        isValid: { FeatureType(spelling: $0)?.spelling == $0 }, words: ScalarType.allCases.map(\.rawValue))

    private static let sql = TextRule(expected: "one SELECT or WITH statement", maximumLength: 100_000)

    private static let table = TextRule(
        expected: "a table or schema.table", maximumLength: 257,
        pattern: "^[A-Za-z_][A-Za-z0-9_$]*(\\.[A-Za-z_][A-Za-z0-9_$]*)?$",
        isValid: { name in
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            return parts.count <= 2 && parts.allSatisfy { TextRule.column.accepts(String($0)) }
        })

    private static let serviceEntry = TextRule(
        expected: "\"view\" or \"view:feature\"", maximumLength: 129,
        pattern: "^[A-Za-z_][A-Za-z0-9_]{0,63}(:[A-Za-z_][A-Za-z0-9_]{0,63})?$",
        isValid: { entry in
            let parts = entry.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            return parts.count <= 2 && TextRule.name.accepts(parts[0])
                && (parts.count == 1 || TextRule.name.accepts(parts[1]))
        })
}

/// The JSON Schema of definition files.
package enum DefinitionsSchema {
    /// The text of `schemas/definitions.schema.json`.
    package static func json() -> String {
        JSONSchemaWriter.schema(
            DefinitionsShape.root, title: "Tidemark definitions: schemas/<project>/*.yaml")
    }
}
