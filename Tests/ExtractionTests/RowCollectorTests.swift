import FeatureModel
import Testing

// The collector is internal to its module: sources alone use it.
@testable import Extraction

struct RowCollectorTests {
    private let a = EntityKey(canonical: "a")
    private let b = EntityKey(canonical: "b")
    private let c = EntityKey(canonical: "c")

    @Test func newestEventOfAnEntityStaysAndAmongEqualsTheLast() {
        var collector = RowCollector(width: 1, hasEventTime: true)
        collector.add(a, eventTime: 5, isDeleted: false, row: [.int32(1)])
        collector.add(b, eventTime: 1, isDeleted: false, row: [.int32(2)])
        collector.add(a, eventTime: 4, isDeleted: false, row: [.int32(3)])
        collector.add(b, eventTime: 1, isDeleted: false, row: [.int32(4)])
        let chunk = collector.chunk(position: 9)
        #expect(chunk.keys == [a, b])
        #expect(chunk.values == [.int32(1), .int32(4)])
        #expect(chunk.eventTimes == [5, 1])
        #expect(chunk.position == 9)
    }

    @Test func newestEventMayBeADelete() {
        var collector = RowCollector(width: 1, hasEventTime: true)
        collector.add(a, eventTime: 1, isDeleted: false, row: [.int32(1)])
        collector.add(b, eventTime: 1, isDeleted: true, row: [.null])
        collector.add(a, eventTime: 2, isDeleted: true, row: [.null])
        collector.add(b, eventTime: 2, isDeleted: false, row: [.int32(2)])
        let chunk = collector.chunk(position: nil)
        #expect(chunk.keys == [b])
        #expect(chunk.values == [.int32(2)])
        #expect(chunk.eventTimes == [2])
        #expect(chunk.removed == [Removal(key: a, eventTime: 2)])
    }

    @Test func entityWithOnlyAFaultIsNotRemoved() {
        var collector = RowCollector(width: 1, hasEventTime: false)
        collector.add(a, eventTime: nil, isDeleted: false, row: [.int32(1)])
        collector.add(RowFault(key: b, column: "x", rule: "range", reason: "", position: ""))
        let chunk = collector.chunk(position: nil, askedFor: [a, b, c])
        #expect(chunk.removed.map(\.key) == [c])
        #expect(chunk.eventTimes.isEmpty)
        #expect(chunk.faults.count == 1)
    }

    @Test func lastEntityCanBeDroppedWithItsFaults() {
        var collector = RowCollector(width: 1, hasEventTime: false)
        collector.add(a, eventTime: nil, isDeleted: false, row: [.int32(1)])
        collector.add(b, eventTime: nil, isDeleted: false, row: [.int32(2)])
        collector.add(RowFault(key: b, column: "x", rule: "range", reason: "", position: ""))
        collector.dropLast(b)
        collector.dropLast(c)
        let chunk = collector.chunk(position: nil)
        #expect(chunk.keys == [a] && chunk.values == [.int32(1)] && chunk.faults.isEmpty)
    }
}
