import FeatureModel
import FoundationEssentials

/// What `model.json` says: what a model reads, what file it is, and how to tell that it works.
///
/// `schemas/model.schema.json` is its JSON Schema.
package struct ModelManifest: Sendable, Hashable {
    /// The format of this release.
    package static let format = 1
    /// The only kind of model file there is.
    package static let kind = "xgboost"
    /// The file beside `model.json` that holds the model.
    package static let modelFile = "model.ubj"
    /// The most columns of a model.
    package static let maximumColumns = 2_000
    /// The most rows to try a model with.
    package static let maximumProbes = 64

    package var name: String
    package var version: String
    package var columns: [RankerColumn]
    /// The SHA-256 of the model file, in lower-case hexadecimal digits.
    package var sha256: String
    /// The length of the model file.
    package var bytes: Int
    /// Rows of real values, NaN where missing, and the scores that the model gave them when it was made: a library, an
    /// endianness or a file that gives others is noticed at load.
    package var probes: FeatureMatrix
    package var probeScores: [Float]
    /// How good it was, by name.
    package var metrics: [String: Double]
    /// How it was made, for people.
    package var training: [String: String]

    /// Puts a manifest together.
    package init(
        name: String, version: String, columns: [RankerColumn], sha256: String, bytes: Int, probes: FeatureMatrix,
        probeScores: [Float], metrics: [String: Double] = [:], training: [String: String] = [:]
    ) {
        self.name = name
        self.version = version
        self.columns = columns
        self.sha256 = sha256
        self.bytes = bytes
        self.probes = probes
        self.probeScores = probeScores
        self.metrics = metrics
        self.training = training
    }

    package static func == (left: ModelManifest, right: ModelManifest) -> Bool {
        // Rows may hold NaN; what they are made of says enough.
        left.sha256 == right.sha256 && left.name == right.name && left.version == right.version
            && left.columns == right.columns && left.probeScores == right.probeScores && left.metrics == right.metrics
            && left.training == right.training
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(sha256)
        hasher.combine(version)
    }
}

extension ModelManifest {
    /// Reads `model.json`.
    ///
    /// - Throws: `corrupt` or `tooLarge`, with what is wrong.
    package init(json: [UInt8]) throws(RankerError) {
        let document: ManifestDocument
        do {
            document = try JSONDecoder().decode(ManifestDocument.self, from: Data(json))
        } catch {
            throw RankerError(.corrupt, "model.json makes no sense", detail: String("\(error)".prefix(300)))
        }
        try self.init(document)
    }

    private init(_ document: ManifestDocument) throws(RankerError) {
        guard document.format == Self.format, document.kind == Self.kind else {
            throw RankerError(
                .corrupt, "model.json is of another kind", detail: "format \(document.format), kind \(document.kind)")
        }
        guard (1...Self.maximumColumns).contains(document.columns.count) else {
            throw RankerError(.tooLarge, "a model has 1 to 2000 columns", detail: "\(document.columns.count)")
        }
        let width = document.columns.count
        guard (1...Self.maximumProbes).contains(document.probes.rows.count),
            document.probes.rows.allSatisfy({ $0.count == width }),
            document.probes.scores.count == document.probes.rows.count
        else {
            throw RankerError(
                .corrupt, "probes must be 1 to 64 rows as wide as the columns, each with its score")
        }
        var columns: [RankerColumn] = []
        for column in document.columns { columns.append(try column.column()) }
        guard Set(columns.map(\.input)).count == columns.count else {
            throw RankerError(.corrupt, "a column stands there twice")
        }
        var probes = FeatureMatrix(rows: document.probes.rows.count, columns: width)
        probes.values = document.probes.rows.flatMap { $0.map { $0 ?? .nan } }
        self.init(
            name: document.name, version: document.version, columns: columns, sha256: document.sha256,
            bytes: document.bytes, probes: probes, probeScores: document.probes.scores,
            metrics: document.metrics ?? [:],
            training: document.training ?? [:])
    }

    /// The bytes of `model.json`.
    package func json() throws(RankerError) -> [UInt8] {
        let rows = (0..<probes.rows).map { row in
            (0..<probes.columns).map { probes[row, $0].isNaN ? nil : probes[row, $0] }
        }
        let document = ManifestDocument(
            format: Self.format, name: name, version: version, kind: Self.kind, sha256: sha256, bytes: bytes,
            columns: columns.map(ManifestDocument.Column.init), probes: .init(rows: rows, scores: probeScores),
            metrics: metrics, training: training)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(document)) + [UInt8(ascii: "\n")]
        } catch {
            throw RankerError(.failed, "model.json can't be written", detail: "\(error)")
        }
    }
}

/// `model.json` as it stands in the file. Keys of a later release are passed over.
private struct ManifestDocument: Codable {
    struct Probes: Codable {
        var rows: [[Float?]]
        var scores: [Float]
    }

    struct Column: Codable {
        var feature: String?
        var recall: String?
        /// The feature of the user and that of the item.
        var match: [String]?
        var encoding: String?
        var categories: [String]?
    }

    var format: Int
    var name: String
    var version: String
    var kind: String
    var sha256: String
    var bytes: Int
    var columns: [Column]
    var probes: Probes
    var metrics: [String: Double]?
    var training: [String: String]?
}

extension ManifestDocument.Column {
    init(_ column: RankerColumn) {
        switch column.input {
        case .feature(let reference): feature = "\(reference.view):\(reference.feature)"
        case .recall(let source): recall = source
        case .match(let user, let item): match = [user, item].map { "\($0.view):\($0.feature)" }
        }
        if feature == nil { return }
        switch column.encoding {
        case .number: encoding = "number"
        case .boolean: encoding = "boolean"
        case .category(let texts): (encoding, categories) = ("category", texts)
        case .age(let unit): encoding = "age_\(unit.rawValue)"
        }
    }

    func column() throws(RankerError) -> RankerColumn {
        if let match, feature == nil, recall == nil, encoding == nil {
            let pair = match.compactMap(Self.reference)
            guard match.count == 2, pair.count == 2 else {
                throw RankerError(
                    .corrupt, "a match needs two features", detail: match.prefix(3).joined(separator: ", "))
            }
            return RankerColumn(.match(user: pair[0], item: pair[1]))
        }
        if let recall, feature == nil, match == nil, encoding == nil || encoding == "number" {
            return RankerColumn(.recall(recall))
        }
        guard let feature, recall == nil, match == nil, let reference = Self.reference(feature) else {
            throw RankerError(.corrupt, "a column needs one of feature (view:feature), recall and match")
        }
        let chosen: FeatureEncoding? =
            switch encoding ?? "number" {
            case "number": .number
            case "boolean": .boolean
            case "category": categories.map(FeatureEncoding.category)
            case let other where other.hasPrefix("age_"):
                TimeColumn.Unit(rawValue: String(other.dropFirst(4))).map(FeatureEncoding.age)
            default: nil
            }
        guard let chosen else {
            throw RankerError(.corrupt, "a column has no such encoding", detail: "\(feature) \(encoding ?? "")")
        }
        return RankerColumn(.feature(reference), chosen)
    }

    private static func reference(_ text: String) -> FeatureReference? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        return FeatureReference(view: String(parts[0]), feature: String(parts[1]))
    }
}
