import FeatureModel
import Foundation
import NIOCore
import OnlineStore
import Testing
import TidemarkTesting

/// Both bodies, byte for byte against the slow way, for requests of every kind.
///
/// Serialized, and giving way after each request: this is long work, and tests beside it wait for clocks and sockets.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct LookupEncoderTests {
    /// 50 seeds of 200 requests.
    @Test(arguments: SeededGenerator.seeds(50))
    func bodiesAreThoseOfTheSlowWay(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        var reused = PackedRows(count: 0)
        for round in 0..<200 {
            await Task.yield()
            let sample = try LookupSample(&generator)
            let plan = try sample.plan()
            let columns = try EntityColumns(sample.entities)
            let keys = try LookupKeys(plan, columns)
            reused = sample.packed(plan, keys, reusing: reused)
            let ages = generator.chance(0.5)
            let lookup = try Self.lookup(plan, keys, &reused, ages: ages)
            let expected = ReferenceBody(sample).lookup(ages: ages)
            try #require(lookup == expected, "round \(round)")
            try Self.requireJSON(lookup, round)
            try Self.checkFeast(sample, plan, keys, columns, &generator, round)
        }
    }

    private static func lookup(
        _ plan: LookupPlan, _ keys: LookupKeys, _ rows: inout PackedRows, ages: Bool
    ) throws -> String {
        var buffer = ByteBuffer()
        try LookupEncoder.lookup(plan, keys, &rows, now: LookupSample.now, ages: ages, into: &buffer)
        return String(buffer: buffer)
    }

    private static func checkFeast(
        _ sample: LookupSample, _ plan: LookupPlan, _ keys: LookupKeys, _ columns: EntityColumns,
        _ generator: inout SeededGenerator, _ round: Int
    ) throws {
        var options = LookupEncoder.FeastOptions()
        options.fullFeatureNames = generator.chance(0.7)
        options.versionMetadata = generator.chance(0.3)
        options.statuses = generator.chance(0.3) ? .feast : .honest
        let names = sample.features.map { options.fullFeatureNames ? "\($0.view)__\($0.feature)" : $0.feature }
        var rows = sample.packed(plan, keys)
        var buffer = ByteBuffer()
        do {
            let counts = try LookupEncoder.feast(
                plan, keys, &rows, entities: columns, now: LookupSample.now, options: options, into: &buffer)
            try #require(Set(names).count == names.count, "round \(round): names collide")
            let reference = ReferenceBody(sample, keepsStale: options.statuses == .feast)
            try #require(String(buffer: buffer) == reference.feast(columns.names, options: options), "round \(round)")
            try requireJSON(String(buffer: buffer), round)
            let counted = plan.views.indices.flatMap { part in
                FeatureStatus.allCases.map { counts.count(of: $0, part: part) }
            }
            try #require(counted.reduce(0, +) == sample.entities.count * Set(sample.features).count)
        } catch let wrong as LookupError {
            try #require(wrong.code == .nameCollision)
            try #require(Set(names).count < names.count, "round \(round)")
        }
    }

    private static func requireJSON(_ text: String, _ round: Int) throws {
        // Foundation is slow here; every eighth body will do.
        guard round.isMultiple(of: 8) else { return }
        _ = try JSONSerialization.jsonObject(with: Data(text.utf8))
    }

    /// Values out of the same rows, for those who want no JSON.
    @Test(arguments: SeededGenerator.seeds(10))
    func valuesAreThoseOfTheBody(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            await Task.yield()
            let sample = try LookupSample(&generator)
            let plan = try sample.plan()
            let keys = try LookupKeys(plan, EntityColumns(sample.entities))
            var rows = sample.packed(plan, keys)
            let answer = LookupAnswer(plan, keys, &rows, now: LookupSample.now)
            let body = try Self.lookup(plan, keys, &rows, ages: false)
            for row in answer.rows {
                let values = row.map { ReferenceBody.text($0.value, isFeast: false) }.joined(separator: ",")
                try #require(body.contains("{\"values\":[\(values)]"))
            }
            try Self.requireNumbers(of: answer)
        }
    }

    /// One by one and as numbers, values are those of the rows.
    private static func requireNumbers(of answer: LookupAnswer) throws {
        for (column, feature) in answer.features.enumerated() {
            var found: [Double?] = []
            let isNumber = answer.withNumbers(column) { numbers in
                found = (0..<answer.count).map { numbers.number(at: $0) }
            }
            for (row, values) in answer.rows.enumerated() {
                // As text, since NaN equals nothing.
                let single = answer.value(column, at: row)
                try #require(single.status == values[column].status && single.age == values[column].age)
                try #require(
                    ReferenceBody.text(single.value, isFeast: false)
                        == ReferenceBody.text(values[column].value, isFeast: false))
                let number: Double? =
                    switch values[column].value {
                    case .int32(let number): Double(number)
                    case .int64(let number): Double(number)
                    case .float32(let number): Double(number)
                    case .float64(let number): number
                    default: nil
                    }
                let isThere = values[column].status == .present || values[column].status == .defaulted
                try #require(!isNumber || found[row]?.bitPattern == (isThere ? number?.bitPattern : nil), "\(feature)")
                try #require(isNumber || number == nil)
            }
        }
    }

    /// Packed rows with random bytes changed, under their own check: FAILED, or values that the decoder gives too.
    @Test(arguments: SeededGenerator.seeds(20))
    func hostileRowsAreRefused(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<150 {
            await Task.yield()
            var sample = try LookupSample(&generator)
            sample.damageAll(&generator)
            let plan = try sample.plan()
            let keys = try LookupKeys(plan, EntityColumns(sample.entities))
            var rows = sample.packed(plan, keys)
            let body = try Self.lookup(plan, keys, &rows, ages: true)
            try #require(body == ReferenceBody(sample).lookup(ages: true), "round \(round)")
        }
    }
}
