import FeatureModel
import OnlineStore
import RedisClient
import Testing
import TidemarkTesting

/// The write script against the model, on a real server.
@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(3)))
struct RowScriptTests {
    private static let orders: [RowOrder] = {
        let positions: [UInt64] = [
            0, 1, 0xffff_ffff, 0x1_0000_0000, 1 << 53, (1 << 53) + 1, 1 << 63, .max - 1, .max,
        ]
        let times: [Int64?] = [nil, .min, -1, 0, (1 << 53) + 1, .max]
        return [0, 1, 0xff00, .max].flatMap { epoch in
            times.flatMap { time in positions.map { RowOrder(epoch: epoch, eventTime: time, position: $0) } }
        }
    }()

    /// Every order against every other would be 47,000 pairs; each is met by these, chosen by their distance.
    private static let pairs: [(old: RowOrder, new: RowOrder)] = orders.indices.flatMap { index in
        orders.indices.filter { ($0 + index * 7) % 5 == 0 || abs($0 - index) < 3 }.map { (orders[index], orders[$0]) }
    }

    @Test(arguments: [WriteMode.newest, .repair, .compare, .push], [false, true])
    func everyRelationOfOrdersIsJudgedAsTheModelDoes(_ mode: WriteMode, _ changesContent: Bool) async throws {
        for wasPushed in [false, true] { try await expectTheModelsJudgement(mode, changesContent, wasPushed) }
    }

    private func expectTheModelsJudgement(
        _ mode: WriteMode, _ changesContent: Bool, _ wasPushed: Bool
    ) async throws {
        try await withSession { session, store, _ async throws in
            let old = Self.pairs.map {
                PackedRow(order: $0.old, isPushed: wasPushed && $0.old.eventTime != nil, body: [1, 2, 3])
            }
            let new = Self.pairs.map { pair in
                PackedRow(
                    order: pair.new, isPushed: mode == .push && pair.new.eventTime != nil,
                    body: changesContent ? [1, 2, 4] : [1, 2, 3],
                    check: [9, 9, 9, 9])
            }
            let keys = Self.pairs.indices.map { key($0) }
            let planted = try await session.write(
                RowBatch(Array(zip(keys, old.map(\.bytes)))), in: space, mode: .newest)
            #expect(planted.allSatisfy { $0 == .created })
            let outcomes = try await session.write(RowBatch(Array(zip(keys, new.map(\.bytes)))), in: space, mode: mode)
            let stored = try await store.read(keys, in: space)
            for index in keys.indices {
                let expected = RowModel.outcome(.row(old[index]), new[index], mode)
                try #require(outcomes[index] == expected, "\(Self.pairs[index]) \(mode)")
                // With the same order and content the stored row may stay, but for its check.
                let kept = stored[index] == old[index].bytes
                let replaced = stored[index] == new[index].bytes
                switch (mode, expected) {
                case (.compare, _), (_, .older), (_, .conflict): try #require(kept)
                case (.push, .renewed): try #require(kept)
                case (.newest, .renewed) where !old[index].isPushed && !old[index].order.precedes(new[index].order):
                    try #require(kept)
                case (.newest, .renewed) where old[index].order == new[index].order: try #require(kept)
                default: try #require(replaced)
                }
            }
        }
    }

    @Test func expiryIsRenewedUnlessTheRowIsOlder() async throws {
        try await withSession { session, store, _ async throws in
            let stored = PackedRow(order: .init(epoch: 1, eventTime: 5, position: 5), body: [1])
            var (older, later, changed) = (stored, stored, stored)
            older.order.position = 4
            later.order.position = 6
            changed.body = [2]
            let cases: [(PackedRow, WriteMode, Bool)] = [
                (stored, .newest, true), (older, .newest, false), (later, .newest, true), (changed, .newest, true),
                (stored, .repair, true), (older, .repair, false), (changed, .repair, true),
                (stored, .compare, false), (later, .compare, false),
            ]
            for (number, (row, mode, renews)) in cases.enumerated() {
                let first = RowBatch([(key(number), stored.bytes)], ttlMilliseconds: 10_000_000)
                _ = try await session.write(first, in: space, mode: .newest)
                let second = RowBatch([(key(number), row.bytes)], ttlMilliseconds: 90_000_000)
                _ = try await session.write(second, in: space, mode: mode)
                let remaining = try #require(try await store.inspect(key(number), in: space)?.remaining)
                #expect((remaining > .seconds(50_000)) == renews, "case \(number)")
            }
        }
    }

    @Test func tombstoneAndEventTimeBelongToTheContent() async throws {
        try await withSession { session, _, _ async throws in
            let row = PackedRow(order: .init(epoch: 0, eventTime: 7, position: 1), body: [1])
            var deleted = row
            deleted.isTombstone = true
            var otherEvent = row
            otherEvent.order.eventTime = 6
            for (number, (other, expected)) in [(deleted, WriteOutcome.conflict), (otherEvent, .older)].enumerated() {
                _ = try await session.write(RowBatch([(key(number), row.bytes)]), in: space, mode: .newest)
                let outcomes = try await session.write(RowBatch([(key(number), other.bytes)]), in: space, mode: .newest)
                #expect(outcomes == [expected])
                let repaired = try await session.write(RowBatch([(key(number), other.bytes)]), in: space, mode: .repair)
                #expect(repaired == [.replaced])
            }
            let unknown = RowBatch([(key(9), deleted.bytes)])
            #expect(try await session.write(unknown, in: space, mode: .newest) == [.created])
        }
    }

    @Test func foreignValuesAreReplacedAndHarmNobody() async throws {
        try await withSession { session, store, server async throws in
            let row = PackedRow(order: .init(epoch: 0, eventTime: nil, position: 1), body: [1])
            var timed = row
            timed.order.eventTime = 0
            let plants: [(StaticString, [String])] = [
                ("LPUSH", ["x"]), ("HSET", ["a", "b"]), ("SADD", ["x"]), ("ZADD", ["1", "x"]), ("SET", [""]),
                ("SET", ["{\"json\":1}"]), ("SET", ["\u{18}aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]),
                ("SET", ["\u{20}aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]),
                ("SET", ["\u{10}" + String(repeating: "a", count: 15)]),
                ("SET", ["\u{12}" + String(repeating: "a", count: 23)]),
            ]
            for mode in [WriteMode.compare, .newest, .repair, .push] {
                let all = (0..<(plants.count + 2)).map { key($0) }
                _ = try await store.remove(all, in: space)
                for (number, (name, arguments)) in plants.enumerated() {
                    var pipeline = RedisPipeline()
                    pipeline.append(name, [.text(space.rowKey(key(number)))] + arguments.map { .text($0) })
                    try await server.send(pipeline)
                }
                let batch = RowBatch(all.enumerated().map { ($1, $0.isMultiple(of: 2) ? row.bytes : timed.bytes) })
                let outcomes = try await session.write(batch, in: space, mode: mode)
                #expect(outcomes == plants.map { _ in .replaced } + [.created, .created])
                guard mode != .compare else { continue }
                #expect(try await store.read(all, in: space) == (0..<batch.count).map { Array(batch.row($0)) })
            }
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func randomWritesLeaveWhatTheModelLeaves(_ seed: UInt64) async throws {
        print("RowScript seed \(seed)")
        try await withSession { session, store, server async throws in
            var random = SeededGenerator(seed: seed)
            var model: [Int: RowModel.Stored] = [:]
            var written = 0
            while written < 4_000 {
                let mode =
                    [WriteMode.newest, .newest, .repair, .compare, .push].randomElement(using: &random) ?? .newest
                let numbers = Array((0..<120).shuffled(using: &random).prefix(Int.random(in: 1...90, using: &random)))
                let rows = numbers.map { _ in Self.randomRow(&random, isPushed: mode == .push) }
                let batch = RowBatch(Array(zip(numbers.map { key($0) }, rows.map(\.bytes))))
                let expected = zip(numbers, rows).map { RowModel.outcome(model[$0] ?? .nothing, $1, mode) }
                let outcomes = try await session.write(batch, in: space, mode: mode)
                try #require(outcomes == expected)
                for (number, row) in zip(numbers, rows) {
                    model[number] = RowModel.result(model[number] ?? .nothing, row, mode)
                }
                written += numbers.count
                try await disturb(&model, &random, store, server)
            }
            let stored = try await store.read((0..<120).map { key($0) }, in: space)
            for number in 0..<120 {
                switch model[number] ?? .nothing {
                case .nothing: #expect(stored[number] == nil)
                case .foreign: break
                case .row(let row): #expect(stored[number] == row.bytes)
                }
            }
        }
    }

    /// Removes a row, plants a foreign value, or makes the server forget the script.
    private func disturb(
        _ model: inout [Int: RowModel.Stored], _ random: inout SeededGenerator, _ store: RedisStore,
        _ server: RedisServer
    ) async throws {
        let number = Int.random(in: 0..<120, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            _ = try await store.remove([key(number)], in: space)
            model[number] = .nothing
        case 1:
            _ = try await store.remove([key(number)], in: space)
            try await server.command("LPUSH", space.rowKey(key(number)), "x")
            model[number] = .foreign
        case 2: try await server.command("SCRIPT", "FLUSH")
        default: break
        }
    }

    private static func randomRow(_ random: inout SeededGenerator, isPushed: Bool) -> PackedRow {
        let order = RowOrder(
            epoch: UInt16.random(in: 0...1, using: &random),
            eventTime: Bool.random(using: &random) && !isPushed ? nil : Int64.random(in: -2...2, using: &random),
            position: (1 << 53) + UInt64.random(in: 0...3, using: &random))
        return PackedRow(
            order: order, isTombstone: Int.random(in: 0..<5, using: &random) == 0 && !isPushed, isPushed: isPushed,
            body: [UInt8.random(in: 0...1, using: &random)])
    }
}
