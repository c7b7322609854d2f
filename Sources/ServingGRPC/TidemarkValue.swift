import FeatureModel
import FoundationEssentials
import OnlineStore
import ServingProtos
import SwiftProtobuf

extension Tidemark_V1_Value {
    /// A value as `tidemark.v1` words it.
    init(_ value: FeatureValue) {
        self.init()
        switch value {
        case .null: break
        case .bool(let flag): kind = .bool(flag)
        case .int32(let number): kind = .int32(number)
        case .int64(let number): kind = .int64(number)
        case .float32(let number): kind = .float32(number)
        case .float64(let number): kind = .float64(number)
        case .string(let text): kind = .string(text)
        case .bytes(let bytes): kind = .bytes(Data(bytes))
        case .timestamp(let microseconds): kind = .timestamp(Google_Protobuf_Timestamp(microseconds: microseconds))
        case .list(let elements): kind = .list(.with { $0.values = elements.map { Tidemark_V1_Value($0) } })
        case .vector(let elements): kind = .vector(.with { $0.values = elements })
        }
    }
}

extension Tidemark_V1_Status {
    /// The same word.
    init(_ status: FeatureStatus) {
        switch status {
        case .present: self = .present
        case .nullValue: self = .nullValue
        case .notFound: self = .notFound
        case .outsideMaxAge: self = .outsideMaxAge
        case .defaulted: self = .defaulted
        case .failed: self = .failed
        }
    }
}

extension Tidemark_V1_LookupResponse {
    /// The answer to a lookup.
    init(_ answer: GRPCLookup.Answer, ages: Bool) {
        self.init()
        features = answer.plan.names
        rows = answer.values.rows.map { Tidemark_V1_Row($0, ages: ages) }
        versions = answer.plan.versions.mapValues { Int64($0) }
        guard !answer.values.failures.isEmpty else { return }
        degraded.stage = "store"
        degraded.views = answer.values.failures
    }
}

extension Tidemark_V1_Row {
    /// One entity's values.
    init(_ row: [LookupAnswer.Value], ages: Bool) {
        self.init()
        values = row.map { Tidemark_V1_Value($0.value) }
        if row.contains(where: { $0.status != .present }) { statuses = row.map { Tidemark_V1_Status($0.status) } }
        if ages { self.ages = row.map { $0.age.map(Self.seconds) ?? .nan } }
    }

    private static func seconds(_ age: Duration) -> Double {
        let (seconds, attoseconds) = age.components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}

extension Google_Protobuf_Timestamp {
    /// An instant in microseconds since 1970.
    init(microseconds: Int64) {
        self.init()
        let rest = microseconds % 1_000_000
        seconds = microseconds / 1_000_000 - (rest < 0 ? 1 : 0)
        nanos = Int32(rest < 0 ? rest + 1_000_000 : rest) * 1_000
    }
}
