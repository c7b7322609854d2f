import Extraction
import FeatureModel
import Ranking

/// The values of one view as they were at a time that only moves forward: one pass over the rows of its history.
///
/// Point in time: a value counts for a moment if it held before it, its delay included, and never otherwise.
struct FeatureHistory {
    /// The features that are wanted, with their places in the matrix.
    private struct Column {
        let place: Int
        let encoding: FeatureEncoding
        /// What stands in for no value, as `raw` gives it.
        let fallback: Double
    }

    private let view: FeatureView
    private let columns: [Column]
    /// Features whose values are wanted as they are: for matches, segments and filters.
    private let kept: [Feature]
    private let reader: any QueryReader
    /// Microseconds that are added to a row's time before it counts; less the plan's lookahead.
    private let shift: Int64
    private let maximumAge: Int64
    private let maximumItems: Int
    private let isPartial: Bool
    private var page: QueryPage?
    private var position = 0
    private var newest = Int64.min
    /// By the entity's number: the raw values, and the time of the row.
    private var values: [Double] = []
    private var times: [Int64] = []
    private var keptValues: [FeatureValue] = []

    let isOfUser: Bool
    private(set) var rows = 0
    private(set) var skipped = 0

    init(_ view: FeatureView, _ plan: TrainingPlan, _ history: HistoryConfig, source: any QuerySource) async throws {
        self.view = view
        isOfUser = view.entity.name == plan.user.name
        var columns: [Column] = []
        var wanted = [
            QueryColumn(view.entity.keys[0].name, .value(view.entity.keys[0].type.featureType)),
            QueryColumn(history.time.column, .time(history.time.unit)),
        ]
        for (place, column) in plan.columns.enumerated() {
            guard case .feature(let reference) = column.input, reference.view == view.name,
                let feature = view.features.first(where: { $0.name == reference.feature })
            else { continue }
            let fallback = feature.defaultValue.map { column.encoding.raw($0) } ?? .nan
            columns.append(Column(place: place, encoding: column.encoding, fallback: fallback))
            wanted.append(QueryColumn(feature.name, .value(feature.type), isNullable: true))
        }
        self.columns = columns
        kept = view.features.filter { feature in
            let reference = FeatureReference(view: view.name, feature: feature.name)
            return plan.sources.contains { $0.segment == reference }
                || plan.filters.contains { $0.itemFeature == reference }
                || plan.columns.contains { column in
                    if case .match(let user, let item) = column.input {
                        user == reference || item == reference
                    } else {
                        false
                    }
                }
        }
        wanted += kept.map { QueryColumn($0.name, .value($0.type), isNullable: true) }
        shift = history.delay.microseconds - plan.lookahead.microseconds
        isPartial = history.isPartial
        maximumItems = plan.config.maximumEvents
        maximumAge = view.maxAge?.microseconds ?? .max
        let name = history.time.column.replacingQuotes
        reader = try await source.open(
            SourceQuery(
                owner: "training, history of \(view.name)",
                sql: "SELECT * FROM (\n\(history.query)\n) AS tidemark_history ORDER BY \"\(name)\"", columns: wanted))
    }

    func close() async {
        await reader.close()
    }

    /// Takes in each row that counted before that time.
    mutating func advance(to time: Int64, _ keys: inout KeyIndex) async throws {
        while true {
            if page == nil {
                page = try await reader.next(limit: 20_000)
                skipped += page?.faultCount ?? 0
                position = 0
            }
            guard let current = page else { return }
            while position < current.rowCount {
                let row = current.row(position)
                guard case .timestamp(let held) = row[row.startIndex + 1] else {
                    skipped += 1
                    position += 1
                    continue
                }
                guard held.addingReportingOverflow(shift).partialValue < time else { return }
                guard held >= newest else {
                    throw TrainingError(
                        .malformed,
                        "the history of \(view.name) is not by time: texts must have one length and one zone")
                }
                newest = held
                if let place = try place(of: row[row.startIndex], in: &keys) { take(row, at: place, held) }
                position += 1
            }
            if current.isLast { return }
            page = nil
        }
    }

    /// The number of a row's entity; `nil` for a user without events, whom no moment is of.
    private func place(of value: FeatureValue, in keys: inout KeyIndex) throws(TrainingError) -> UInt32? {
        guard let key = value.key else { return nil }
        if isOfUser { return keys.place(of: key) }
        let place = keys.insert(key)
        guard keys.count <= maximumItems else {
            throw TrainingError(
                .tooMany,
                "the history of \(view.name) is of more than \(maximumItems) items: select fewer, or raise max_events")
        }
        return place
    }

    private mutating func take(_ row: ArraySlice<FeatureValue>, at key: UInt32, _ held: Int64) {
        let place = Int(key)
        if place >= times.count {
            let missing = place + 1 - times.count
            times.append(contentsOf: repeatElement(.min, count: missing))
            values.append(contentsOf: repeatElement(.nan, count: missing * columns.count))
            keptValues.append(contentsOf: repeatElement(.null, count: missing * kept.count))
        }
        let isNew = times[place] == .min
        times[place] = held
        for (offset, column) in columns.enumerated() {
            let raw = column.encoding.raw(row[row.startIndex + 2 + offset])
            if raw.isNaN, isPartial, !isNew { continue }
            values[place * columns.count + offset] = raw.isNaN ? column.fallback : raw
        }
        for (offset, feature) in kept.enumerated() {
            let value = row[row.startIndex + 2 + columns.count + offset]
            if value.isNull, isPartial, !isNew { continue }
            keptValues[place * kept.count + offset] = value.isNull ? feature.defaultValue ?? .null : value
        }
        rows += 1
    }

    /// The value of a feature that matches or segments want; `nil` where it is not of this view.
    func value(_ reference: FeatureReference, key: UInt32, at time: Int64) -> FeatureValue? {
        kept(reference).map { value(kept: $0, key: key, at: time) }
    }

    /// Where a feature is among those that are kept as they are; `nil` where it is not of this view.
    func kept(_ reference: FeatureReference) -> Int? {
        reference.view == view.name ? kept.firstIndex { $0.name == reference.feature } : nil
    }

    /// The value of a feature by its place among those that are kept.
    func value(kept offset: Int, key: UInt32, at time: Int64) -> FeatureValue {
        let place = Int(key)
        return isKnown(place, at: time) ? keptValues[place * kept.count + offset] : kept[offset].defaultValue ?? .null
    }

    private func isKnown(_ place: Int, at time: Int64) -> Bool {
        place < times.count && times[place] > .min && time - times[place] <= maximumAge
    }

    /// Writes an entity's values into a row of a matrix.
    func fill(_ matrix: inout FeatureMatrix, row: Int, key: UInt32, at time: Int64) {
        let place = Int(key)
        let isKnown = isKnown(place, at: time)
        for (offset, column) in columns.enumerated() {
            let raw = isKnown ? values[place * columns.count + offset] : column.fallback
            matrix[row, column.place] = column.encoding.number(from: raw, now: time)
        }
    }
}

extension Duration {
    var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}

extension String {
    /// For between double quotes in SQL.
    fileprivate var replacingQuotes: String {
        var text = ""
        for character in self { text += character == "\"" ? "\"\"" : String(character) }
        return text
    }
}
