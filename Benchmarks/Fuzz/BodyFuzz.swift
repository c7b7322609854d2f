import FeatureModel
import NIOCore
import OnlineStore
import RowCodec
import Serving
import TidemarkTesting

/// Bodies through the parser of their route and all that follows it up to the store, and rows that are missing through the
/// encoder.
///
/// Promised: no trap; what is accepted is JSON by a second opinion; what is refused is refused in JSON, with a 4xx; an answer is JSON.
struct BodyFuzz {
    private let world: World
    private var mutator: Mutator
    private let limits = WireLimits()
    private let others: [[UInt8]]
    private var tally = Tally()
    private var answer = ByteBuffer()

    init(_ world: World, seed: UInt64) {
        self.world = world
        mutator = Mutator(seed: seed)
        others = world.bodies.map(\.bytes)
    }

    consuming func run(_ count: Int) -> Tally {
        var fuzz = self
        for _ in 0..<count { fuzz.one() }
        return fuzz.tally
    }

    private mutating func one() {
        let (route, whole) = mutator.random.pick(world.bodies)
        var bytes = whole
        mutator.mutate(&bytes, Mutator.json, times: 4, others: others)
        tally.cases += 1
        tally.bytes += bytes.count
        let body = ByteBuffer(bytes: bytes)
        // Now and then a body comes to another's route.
        let taken = mutator.random.below(20) == 0 ? mutator.random.pick(World.Route.allCases) : route
        do {
            try take(body, taken)
            tally.count("\(taken) taken")
            if !StrictJSON.accepts(bytes[...]) { tally.fail("\(taken) took what is no JSON: \(Self.shown(bytes))") }
        } catch let error as WireError {
            refused(taken == .lookup ? ErrorBody.problem(error) : ErrorBody.feast(error, request: body), taken, bytes)
        } catch let error as LookupError {
            tally.count("\(taken) refused by the plan")
            if error.description.isEmpty { tally.fail("\(taken) refused without words: \(Self.shown(bytes))") }
        } catch {
            tally.count("\(taken) refused: \(type(of: error))")
        }
    }

    private mutating func take(_ body: ByteBuffer, _ route: World.Route) throws {
        switch route {
        case .lookup: try look(body, LookupParser.lookup(body, limits: limits), isFeast: false)
        case .feast: try look(body, LookupParser.feast(body, limits: limits), isFeast: true)
        case .push: try write(body, WriteParser.push(body, limits: limits))
        case .write: try write(body, WriteParser.write(body, limits: limits))
        case .materialize: _ = try WriteParser.views(body, limits: limits)
        }
    }

    private mutating func look(_ body: ByteBuffer, _ request: LookupRequestBody, isFeast: Bool) throws {
        let features =
            request.isService
            ? try world.catalog.features(ofService: FeatureSelection.service(body, request, limits: limits))
            : try FeatureSelection.features(body, request, limits: limits)
        let plan = try world.catalog.plan(features: features)
        let reader = EntityReader(KeyColumns(plan.keyColumns), limits: limits)
        let values = try isFeast ? reader.columns(body, request) : reader.rows(body, request)
        let entities = try EntityColumns(values)
        guard values.count * features.count <= 1_000_000 else { throw LookupError("too many values", code: .tooLarge) }
        let keys = try LookupKeys(plan, entities)
        var command = ByteBuffer()
        _ = keys.writeMGET(plan, into: &command)
        var rows = PackedRows(count: keys.rowCount)
        for row in 0..<min(keys.rowCount, 8) { rows.set(row, row.isMultiple(of: 2) ? nil : [1, 2, 3]) }
        answer.clear()
        if isFeast {
            var options = LookupEncoder.FeastOptions()
            options.fullFeatureNames = request.fullFeatureNames
            options.versionMetadata = request.versionMetadata
            _ = try LookupEncoder.feast(
                plan, keys, &rows, entities: entities, now: 0, options: options, into: &answer)
        } else {
            _ = try LookupEncoder.lookup(plan, keys, &rows, now: 0, ages: request.ages, into: &answer)
        }
        if !StrictJSON.accepts(Array(answer.readableBytesView)[...]) {
            tally.fail("an answer is no JSON: \(Self.shown(Array(answer.readableBytesView)))")
        }
    }

    private mutating func write(_ body: ByteBuffer, _ request: WriteRequestBody) throws {
        guard let view = world.views.first(where: { $0.name == request.name }) else {
            return tally.count("writes to no view")
        }
        let rows = try FrameReader(view, limits: limits, now: 1_800_000_000_000_000).rows(body, request.frame)
        let encoder = RowEncoder(view: view)
        let width = encoder.width
        guard rows.values.count == rows.keys.count * width, rows.eventTimes.count == rows.keys.count else {
            return tally.fail("a write has \(rows.values.count) values for \(rows.keys.count) rows of \(width)")
        }
        var packed: [UInt8] = []
        for (index, key) in rows.keys.enumerated() {
            let order = RowOrder(epoch: 0, eventTime: rows.eventTimes[index], position: 0)
            let values = rows.values[index * width..<(index + 1) * width]
            do {
                try encoder.encode(key: key, order: order, values: values, isPushed: true, into: &packed)
            } catch {
                if error.code != .tooLarge { tally.fail("a row that was read can't be packed: \(error)") }
            }
        }
    }

    private mutating func refused(_ answer: ErrorAnswer, _ route: World.Route, _ bytes: [UInt8]) {
        tally.count("\(route) refused with \(answer.status)")
        if !(400..<500).contains(answer.status) {
            tally.fail("\(route) is answered with \(answer.status): \(Self.shown(bytes))")
        }
        let words = Array(answer.body.readableBytesView)
        if words.count > 32 << 10 {
            tally.fail("\(words.count) bytes of error for \(bytes.count): \(Self.shown(bytes))")
        }
        if !StrictJSON.accepts(words[...]) {
            tally.fail("\(route) is refused with what is no JSON, \(Self.shown(words)): \(Self.shown(bytes))")
        }
    }

    static func shown(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.prefix(600), as: UTF8.self).debugDescription
    }
}
