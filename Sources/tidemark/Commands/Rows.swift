import ArgumentParser
import FeatureModel
import Foundation
import NIOCore
import OnlineStore
import RowCodec
import Sync

struct LookupCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "lookup",
        abstract: "Read features of entities.",
        discussion: """
            Each value comes with its status: PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE, DEFAULTED or FAILED. --json \
            prints the body of /v1/lookup.

            tidemark lookup --features user_activity:views_7d,user_activity:last_event --entity user_id=1,2
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Option(name: .long, parsing: .singleValue, help: "Features as view:feature, separated by commas.")
    var features: [String] = []

    @Option(name: .long, help: "A service: its features in its order.")
    var service: String?

    @Option(
        name: .long, parsing: .singleValue,
        help:
            "KEY=VALUE[,VALUE …]. Once for each key column; several values ask for several entities. Bytes are in Base64."
    )
    var entity: [String]

    @Flag(name: .long, help: "With the age of each value in seconds.")
    var ages = false

    func validate() throws {
        if features.isEmpty == (service == nil) { throw ValidationError("give either --features or --service") }
    }

    func run(_ workspace: Workspace) async throws {
        let engine = try await workspace.engine()
        let plan = try await LookupRequest.plan(engine, features: features, service: service)
        let entities = try LookupRequest.entities(entity, plan.keyColumns)
        let now = engine.context.time.wall()
        let (lookup, columns) = (FeatureLookup(engine.context.store), try EntityColumns(entities))
        if output.json {
            var body = ByteBuffer()
            let failures = try await lookup.body(plan, entities: columns, now: now, ages: ages, into: &body)
            print(String(buffer: body))
            if !failures.isEmpty { throw Ending.failed }
            return
        }
        let answer = try await lookup.lookup(plan, entities: columns, now: now)
        show(answer, entities)
        if !answer.failures.isEmpty { throw Ending.failed }
    }

    private func show(_ answer: LookupAnswer, _ entities: [[String: EntityKeyValue]]) {
        var table = Table(["ENTITY", "FEATURE", "VALUE", "STATUS"] + (ages ? ["AGE"] : []))
        for (entity, row) in zip(entities, answer.rows) {
            let name = entity.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.words)" }.joined(separator: ",")
            for (reference, value) in zip(answer.features, row) {
                var json = JSONBytes()
                json.value(value.value)
                var cells = [
                    name, "\(reference.view):\(reference.feature)", String(decoding: json.bytes, as: UTF8.self),
                    value.status.rawValue,
                ]
                if ages { cells.append(value.age.map { Words.seconds($0.inSeconds) } ?? "-") }
                table.add(cells)
            }
        }
        print(table.text)
        for (view, reason) in answer.failures.sorted(by: { $0.key < $1.key }) {
            Console.error("view \(view): \(reason)")
        }
    }
}

struct ExplainCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Everything known of one entity's row: key, version, bytes, times, position, expiry, run.",
        discussion: "tidemark explain user_activity --entity user_id=42")

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The view.")
    var view: String

    @Option(name: .long, parsing: .singleValue, help: "KEY=VALUE, once for each key column.")
    var entity: [String]

    func run(_ workspace: Workspace) async throws {
        let engine = try await workspace.engine()
        let versions = try await VersionsCommand.applied(view, engine)
        guard let newest = versions.current ?? versions.next else { throw SyncError.notApplied("view \(view)") }
        let definition = try engine.definition(of: newest)
        let entities = try LookupRequest.entities(entity, definition.entity.keys)
        guard entities.count == 1, let values = entities.first,
            let key = EntityKey(definition.entity.keys.compactMap { values[$0.name] })
        else { throw UsageError("explain takes one entity; give one value for each key") }
        var rows: [RowExplanation] = []
        for version in versions.synced {
            let explained = try await Explainer(engine).explain(key, version: version)
            rows.append(explained)
        }
        if output.json { return try Console.json(rows) }
        print(rows.map(\.text).joined(separator: "\n\n"))
    }
}

struct EraseCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "erase",
        abstract: "Remove an entity from every view and version, and keep it erased.",
        discussion: """
            The entity (as a digest, not in the clear) goes on a list that every later sync and sweep obeys. With \
            sync.erasures in the config the list is also kept in that file, so that it outlives the store.

            tidemark erase --entity user_id=42
            tidemark erase --undo --entity user_id=42
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Option(name: .long, parsing: .singleValue, help: "KEY=VALUE, once for each key column of the entity.")
    var entity: [String]

    @Flag(name: .long, help: "Take the entity off the list instead; the next change or sweep brings it back.")
    var undo = false

    func run(_ workspace: Workspace) async throws {
        let engine = try await workspace.engine()
        let (name, key) = try LookupRequest.erasedEntity(entity, workspace.catalog)
        let digest = engine.context.erasures.digest(key, entity: name)
        if undo {
            try workspace.erasureFile?.remove(digest, entity: name)
            try await engine.context.erasures.remove(digest, entity: name)
            // No row comes or goes by that.
            let gone: [SyncEngine.ErasedRows] = []
            try output.show(gone, words: "\(name) \(key.text) may come back")
            return
        }
        try workspace.erasureFile?.add(digest, entity: name)
        let gone = try await engine.erase(key, entity: name)
        if output.json { return try Console.json(gone) }
        for rows in gone { print("\(rows.view) v\(rows.version): \(Words.count(rows.rows, "row")) removed") }
        print(gone.isEmpty ? "no row was stored; the entity stays erased" : "erased, and stays erased")
    }
}
