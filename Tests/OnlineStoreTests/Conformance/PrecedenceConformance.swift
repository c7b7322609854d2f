import FeatureModel
import OnlineStore
import Testing
import TidemarkTesting

// Which of two rows wins: `schemas/row-format.md` has the rules.
extension StoreConformance {
    struct PrecedenceCase: Sendable {
        let name: String
        let stored: RowSample
        let new: RowSample
        let newest: WriteOutcome
        let repair: WriteOutcome
    }

    private static func sample(
        _ epoch: UInt16, _ eventTime: Int64?, _ position: UInt64, _ value: Int64?
    ) -> RowSample {
        RowSample(epoch: epoch, eventTime: eventTime, position: position, value: value)
    }

    /// Stored: epoch 5, event time 100 or none, position 50, value 1.
    static let precedenceCases: [PrecedenceCase] = {
        let timed = sample(5, 100, 50, 1)
        let untimed = sample(5, nil, 50, 1)
        let table: [(String, RowSample, RowSample, WriteOutcome, WriteOutcome)] = [
            ("same", timed, timed, .renewed, .renewed),
            ("same, untimed", untimed, untimed, .renewed, .renewed),
            ("same order, other value", timed, sample(5, 100, 50, 2), .conflict, .replaced),
            ("same order, tombstone", timed, sample(5, 100, 50, nil), .conflict, .replaced),
            ("later position, same value", timed, sample(5, 100, 51, 1), .renewed, .renewed),
            ("later position, other value", timed, sample(5, 100, 51, 2), .replaced, .replaced),
            ("later position, tombstone", timed, sample(5, 100, 51, nil), .replaced, .replaced),
            ("far later position", untimed, sample(5, nil, .max, 2), .replaced, .replaced),
            ("earlier position, same value", timed, sample(5, 100, 49, 1), .older, .older),
            ("earlier position, other value", timed, sample(5, 100, 49, 2), .older, .older),
            ("position 255 before 256", sample(5, nil, 256, 1), sample(5, nil, 255, 2), .older, .older),
            ("position above 2^63", sample(5, nil, 1 << 63 - 1, 1), sample(5, nil, 1 << 63, 2), .replaced, .replaced),
            ("position beyond a double", sample(5, nil, 1 << 53 + 1, 1), sample(5, nil, 1 << 53, 2), .older, .older),
            ("later event, earlier position", timed, sample(5, 101, 1, 1), .replaced, .older),
            ("earlier event, later position", timed, sample(5, 99, 90, 1), .older, .replaced),
            ("earlier event, same position", timed, sample(5, 99, 50, 1), .older, .replaced),
            ("event before 1970", sample(5, -1, 50, 1), sample(5, 0, 50, 1), .replaced, .replaced),
            ("event far before 1970", sample(5, .min + 1, 50, 1), sample(5, -1, 50, 1), .replaced, .replaced),
            ("lowest event time against none", sample(5, nil, 50, 1), sample(5, .min, 50, 1), .conflict, .replaced),
            ("event time where there was none", untimed, sample(5, -9, 49, 1), .older, .older),
            ("no event time where there was one", timed, sample(5, nil, 51, 1), .replaced, .replaced),
            ("hard delete of a row with an event time", timed, sample(5, nil, 51, nil), .replaced, .replaced),
            ("row from before a hard delete", sample(5, nil, 51, nil), sample(5, 900, 50, 1), .older, .older),
            ("row from after a hard delete", sample(5, nil, 51, nil), sample(5, 1, 52, 1), .replaced, .replaced),
            ("later epoch, earlier rest", timed, sample(6, 1, 1, 1), .replaced, .replaced),
            ("later epoch, same content", untimed, sample(6, nil, 1, 1), .renewed, .renewed),
            ("earlier epoch, later rest", timed, sample(4, 200, 90, 2), .older, .older),
            ("epoch 255 before 256", sample(256, nil, 1, 1), sample(255, nil, 9, 2), .older, .older),
            ("epoch above 2^15", sample(1 << 15 - 1, nil, 9, 1), sample(1 << 15, nil, 1, 2), .replaced, .replaced),
            ("tombstone, then an older row", sample(5, 100, 50, nil), sample(5, 100, 49, 1), .older, .older),
            ("tombstone, then a newer row", sample(5, 100, 50, nil), sample(5, 100, 51, 1), .replaced, .replaced),
            ("tombstone twice", sample(5, 100, 50, nil), sample(5, 100, 51, nil), .renewed, .renewed),
        ]
        return table.map { PrecedenceCase(name: $0.0, stored: $0.1, new: $0.2, newest: $0.3, repair: $0.4) }
    }()

    @Test(arguments: StoreHome.available)
    func newestWins(home: StoreHome) async throws {
        try await expectTable(home, .newest) { $0.newest }
    }

    @Test(arguments: StoreHome.available)
    func repairWinsOverWhatIsNotLater(home: StoreHome) async throws {
        try await expectTable(home, .repair) { $0.repair }
    }

    @Test(arguments: StoreHome.available)
    func compareTellsWhatRepairWouldDoAndWritesNothing(home: StoreHome) async throws {
        try await expectTable(home, .compare) { $0.repair }
    }

    private func expectTable(
        _ home: StoreHome, _ mode: WriteMode, _ expected: @escaping @Sendable (PrecedenceCase) -> WriteOutcome
    ) async throws {
        let cases = Self.precedenceCases
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            let keys = cases.indices.map(Self.entity)
            let fresh = try await session.write(
                RowBatch(zip(keys, cases).map { ($0, $1.stored) }), in: space, mode: .newest)
            #expect(fresh == cases.map { _ in .created })
            let outcomes = try await session.write(
                RowBatch(zip(keys, cases).map { ($0, $1.new) }), in: space, mode: mode)
            for (index, sample) in cases.enumerated() {
                #expect(outcomes[index] == expected(sample), "\(sample.name)")
                let wins = [.created, .renewed, .replaced].contains(expected(sample))
                let isWritten = if case .compare = mode { false } else { wins }
                #expect(
                    try await store.row(keys[index], in: space) == (isWritten ? sample.new : sample.stored),
                    "\(sample.name)")
            }
            let missing = Self.entity(10_000)
            #expect(try await session.write(missing, RowSample(value: 1), in: space, mode: mode) == .created)
            let row = try await store.row(missing, in: space)
            if case .compare = mode { #expect(row == nil) } else { #expect(row == RowSample(value: 1)) }
        }
    }

    /// A second account of the rules, over rows as values instead of bytes.
    static func model(
        _ stored: RowSample?, _ new: RowSample, _ mode: WriteMode
    ) -> (outcome: WriteOutcome, row: RowSample?) {
        guard let stored else { return (.created, mode == .compare ? nil : new) }
        let outcome = outcome(stored, new, mode)
        switch outcome {
        case .older, .conflict: return (outcome, stored)
        case .renewed where mode == .push: return (outcome, stored)
        default: return (outcome, mode == .compare ? stored : new)
        }
    }

    private static func outcome(_ stored: RowSample, _ new: RowSample, _ mode: WriteMode) -> WriteOutcome {
        let isSame = stored.value == new.value && stored.eventTime == new.eventTime
        let renewal: WriteOutcome = isSame ? .renewed : .replaced
        let events = stored.eventTime.flatMap { old in new.eventTime.map { (old: old, new: $0) } }
        switch mode {
        case .push:
            if events.map({ $0.new < $0.old }) ?? (stored.value == nil) { return .older }
            return new.order.precedesByPosition(stored.order) ? .conflict : renewal
        case .newest:
            if stored.isPushed, let events {
                let isLater = events.new > events.old || stored.order.precedesByPosition(new.order)
                return events.new < events.old || !isLater ? .older : renewal
            }
            if new.order.precedes(stored.order) { return .older }
            return stored.order.precedes(new.order) || isSame ? renewal : .conflict
        case .repair, .compare:
            if stored.isPushed, events.map({ $0.new < $0.old }) ?? true { return .older }
            return new.order.precedesByPosition(stored.order) ? .older : renewal
        }
    }

    @Test(arguments: StoreHome.available, SeededGenerator.seeds(3))
    func anySequenceOfWritesFollowsTheRules(home: StoreHome, seed: UInt64) async throws {
        try await home.withStore { store async throws in
            var generator = SeededGenerator(seed: seed)
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            var model: [EntityKey: RowSample] = [:]
            for _ in 0..<150 {
                let mode = generator.pick([WriteMode.newest, .newest, .repair, .compare, .push, .push])
                let keys = (0..<8).filter { _ in generator.chance(0.5) }.map(Self.entity)
                let rows = keys.map { key in
                    let row = RowSample(
                        epoch: UInt16(generator.below(2)),
                        eventTime: generator.pick(mode == .push ? [1, 2, 3] : [nil, 1, 2, 3]),
                        position: UInt64(generator.below(3)),
                        value: generator.pick(mode == .push ? [1, 2] : [nil, 1, 2]),
                        isPushed: mode == .push)
                    return (key, row)
                }
                let outcomes = try await session.write(RowBatch(rows), in: space, mode: mode)
                for (index, (key, row)) in rows.enumerated() {
                    let (outcome, left) = Self.model(model[key], row, mode)
                    #expect(outcomes[index] == outcome, "\(row) over \(String(describing: model[key])) in \(mode)")
                    model[key] = left
                }
            }
            for number in 0..<8 {
                #expect(try await store.row(Self.entity(number), in: space) == model[Self.entity(number)])
            }
        }
    }
}
