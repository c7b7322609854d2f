import FeatureModel
import OnlineStore
import RowCodec

/// The bodies of lookups, written the slow way from decoded values: what the encoders are held against.
struct ReferenceBody {
    private struct Cell {
        var value = FeatureValue.null
        var status = FeatureStatus.failed
        var eventTime: Int64?
    }

    private let sample: LookupSample
    /// Entity by entity, a cell for each feature asked for.
    private let cells: [[Cell]]

    init(_ sample: LookupSample, keepsStale: Bool = false) {
        self.sample = sample
        let asked = sample.asked
        cells = sample.entities.indices.map { entity in
            sample.features.map { reference in
                guard let part = asked.firstIndex(where: { $0.name == reference.view }) else { return Cell() }
                return Self.cell(sample, asked[part], part, entity, reference.feature, keepsStale)
            }
        }
    }

    private static func cell(
        _ sample: LookupSample, _ view: FeatureView, _ part: Int, _ entity: Int, _ name: String, _ keepsStale: Bool
    ) -> Cell {
        guard let index = view.features.firstIndex(where: { $0.name == name }) else { return Cell() }
        let fallback = view.features[index].defaultValue
        func standIn(_ status: FeatureStatus, _ eventTime: Int64?) -> Cell {
            fallback.map { Cell(value: $0, status: .defaulted, eventTime: eventTime) }
                ?? Cell(value: .null, status: status, eventTime: eventTime)
        }
        switch sample.stored[part][entity] {
        case .unknown: return Cell()
        case .nothing: return standIn(.notFound, nil)
        case .row(let bytes):
            // What is not asked for is not looked at as closely.
            let asked = view.features.indices.filter { feature in
                sample.features.contains { $0.view == view.name && $0.feature == view.features[feature].name }
            }
            guard let key = LookupSample.key(view, sample.entities[entity]), let slot = asked.firstIndex(of: index),
                let pick = FeaturePick(asked, width: view.features.count),
                let row = try? RowDecoder(view: view).decode(bytes.span, key: key, picking: pick)
            else { return Cell() }
            if row.isTombstone { return standIn(.notFound, nil) }
            let time = row.order.eventTime
            if !keepsStale, let time, let limit = view.maxAge {
                // 128 bits, since event times may be anything.
                let age = Int128(LookupSample.now) - Int128(time)
                if age > Int128(limit.wholeMicroseconds) { return standIn(.outsideMaxAge, time) }
            }
            if row.values[slot].isNull { return standIn(.nullValue, time) }
            return Cell(value: row.values[slot], status: .present, eventTime: time)
        }
    }

    /// The body of `/v1/lookup`.
    func lookup(ages: Bool) -> String {
        let rows = cells.map { row in
            var text = "{\"values\":[\(row.map { Self.text($0.value, isFeast: false) }.joined(separator: ","))]"
            if row.contains(where: { $0.status != .present }) {
                text += ",\"statuses\":[\(row.map { "\"\($0.status.rawValue)\"" }.joined(separator: ","))]"
            }
            if ages { text += ",\"ages\":[\(row.map { Self.age($0.eventTime) }.joined(separator: ","))]" }
            return text + "}"
        }
        let features = sample.features.map { "\"\($0.view):\($0.feature)\"" }.joined(separator: ",")
        let versions = sample.asked.map(\.name).sorted().map { "\"\($0)\":\(version($0))" }.joined(separator: ",")
        let failed = sample.asked.indices.filter { part in
            if case .unknown = sample.stored[part].first { true } else { false }
        }
        let reasons = failed.map { sample.asked[$0].name }.sorted().map { "\"\($0)\":\"no \\\"store\\\"\"" }
        let degraded =
            reasons.isEmpty ? "" : ",\"degraded\":{\"stage\":\"store\",\"views\":{\(reasons.joined(separator: ","))}}"
        return
            "{\"features\":[\(features)],\"rows\":[\(rows.joined(separator: ","))],\"versions\":{\(versions)}\(degraded)}"
    }

    /// The body of `/get-online-features`; `columns` are the key columns in their order.
    func feast(_ columns: [String], options: LookupEncoder.FeastOptions) -> String {
        var results = columns.map { name in
            let count = sample.entities.count
            let values = sample.entities.map { Self.key($0[name] ?? .integer(0)) }.joined(separator: ",")
            return Self.column(
                values, Array(repeating: "PRESENT", count: count), Array(repeating: 0, count: count))
        }
        for feature in sample.features.indices {
            let column = cells.map { $0[feature] }
            results.append(
                Self.column(
                    column.map { Self.text($0.value, isFeast: true) }.joined(separator: ","),
                    column.map { Self.word($0.status, isFeast: options.statuses == .feast) },
                    column.map { $0.eventTime ?? 0 }))
        }
        let names =
            columns + sample.features.map { options.fullFeatureNames ? "\($0.view)__\($0.feature)" : $0.feature }
        let views = sample.asked.map { "{\"name\":\"\($0.name)\",\"version\":\(version($0.name))}" }
        let metadata = options.versionMetadata ? ",\"feature_view_metadata\":[\(views.joined(separator: ","))]" : ""
        let list = names.map { "\"\($0)\"" }.joined(separator: ",")
        return "{\"results\":[\(results.joined(separator: ","))],\"metadata\":{\"feature_names\":[\(list)]\(metadata)}}"
    }

    private static func column(_ values: String, _ statuses: [String], _ times: [Int64]) -> String {
        let words = statuses.map { "\"\($0)\"" }.joined(separator: ",")
        let times = times.map { "\"\(Timestamps.format($0))\"" }.joined(separator: ",")
        return "{\"values\":[\(values)],\"statuses\":[\(words)],\"event_timestamps\":[\(times)]}"
    }

    private func version(_ view: String) -> Int { (sample.views.firstIndex { $0.name == view } ?? 0) + 1 }

    private static func word(_ status: FeatureStatus, isFeast: Bool) -> String {
        switch status {
        case .present, .defaulted: "PRESENT"
        case .failed: "INVALID"
        default: isFeast ? "PRESENT" : status.rawValue
        }
    }

    private static func key(_ value: EntityKeyValue) -> String {
        switch value {
        case .integer(let number): "\(number)"
        case .text(let text): quoted(text)
        case .bytes(let bytes): base64(bytes)
        }
    }

    private static func age(_ eventTime: Int64?) -> String {
        guard let eventTime else { return "null" }
        let exact = Int128(LookupSample.now) - Int128(eventTime)
        let clamped = max(Int128(Int64.min), min(Int128(Int64.max), exact))
        let (whole, fraction) = clamped.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
        let digits = String(fraction)
        let padded = String(repeating: "0", count: 6 - digits.count) + digits
        let stripped = padded.reversed().drop { $0 == "0" }.reversed()
        return "\(clamped < 0 ? "-" : "")\(whole).\(stripped.isEmpty ? "0" : String(stripped))"
    }

    static func text(_ value: FeatureValue, isFeast: Bool) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): "\(flag)"
        case .int32(let number): "\(number)"
        case .int64(let number): "\(number)"
        case .float32(let number): isFeast ? double(Double(number)) : float(number)
        case .float64(let number): double(number)
        case .string(let text): quoted(text)
        case .bytes(let bytes): base64(bytes)
        case .timestamp(let micros):
            isFeast
                ? "\((Int128(micros) - (Int128(micros) % 1_000_000 + 1_000_000) % 1_000_000) / 1_000_000)"
                : quoted(Timestamps.format(micros))
        case .list(let elements): "[\(elements.map { text($0, isFeast: isFeast) }.joined(separator: ","))]"
        case .vector(let elements):
            "[\(elements.map { text(.float32($0), isFeast: isFeast) }.joined(separator: ","))]"
        }
    }

    static func double(_ number: Double) -> String {
        guard number.isFinite else { return number.isNaN ? "\"NaN\"" : number < 0 ? "\"-Infinity\"" : "\"Infinity\"" }
        return python("\(number)", isLarge: number.magnitude >= 1e16)
    }

    static func float(_ number: Float) -> String {
        guard number.isFinite else { return double(Double(number)) }
        return python("\(number)", isLarge: number.magnitude >= 1e16)
    }

    /// Swift writes numbers from 2^24 (floats) and 2^54 (doubles) on with an exponent, Python from 1e16 on.
    private static func python(_ text: String, isLarge: Bool) -> String {
        let sign = text.hasPrefix("-") ? "-" : ""
        let bare = text.dropFirst(sign.count)
        guard let mark = bare.firstIndex(of: "e") else {
            guard isLarge else { return text }
            let digits = bare.dropLast(2)
            let stripped = String(digits.reversed().drop { $0 == "0" }.reversed())
            let rest = stripped.dropFirst()
            return "\(sign)\(stripped.prefix(1))\(rest.isEmpty ? "" : ".\(rest)")e+\(digits.count - 1)"
        }
        guard bare[mark...].hasPrefix("e+"), !isLarge, let power = Int(bare[bare.index(mark, offsetBy: 2)...]) else {
            return text
        }
        let digits = bare[..<mark].filter { $0 != "." }
        return "\(sign)\(digits)\(String(repeating: "0", count: max(0, power + 1 - digits.count))).0"
    }

    private static func quoted(_ text: String) -> String {
        var json = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": json += "\\\""
            case "\\": json += "\\\\"
            case "\n": json += "\\n"
            case "\r": json += "\\r"
            case "\t": json += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                json += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: json.unicodeScalars.append(scalar)
            }
        }
        return json + "\""
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let bits = bytes.map {
            String(repeating: "0", count: $0.leadingZeroBitCount - ($0 == 0 ? 1 : 0)) + String($0, radix: 2)
        }
        .joined()
        var text = ""
        var rest = Substring(bits)
        while !rest.isEmpty {
            let group = rest.prefix(6) + String(repeating: "0", count: max(0, 6 - rest.count))
            text.append(alphabet[Int(group, radix: 2) ?? 0])
            rest = rest.dropFirst(6)
        }
        return "\"\(text)\(String(repeating: "=", count: (3 - bytes.count % 3) % 3))\""
    }
}
