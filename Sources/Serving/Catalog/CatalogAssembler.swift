import FeatureModel
import OnlineStore

/// Makes catalogs out of control documents. What makes no sense, or is gone from the store, leaves what was good before in
/// its place and is named in `problems`. Does no I/O but in `read`; the owner keeps it in a `Mutex`.
struct CatalogAssembler: Sendable {
    /// The most views of a catalog; one of more is refused.
    static let maximumViews = 10_000

    /// The last good one; `nil` before the first.
    private(set) var current: ServingCatalog?
    /// What was wrong with the documents taken last, in words.
    private(set) var problems: [String] = []

    private let project: String
    private var record: CatalogRecord?
    /// What `current` and `record` were made of. A document that comes again is not decoded again.
    private var documents: [String: Document] = [:]

    init(project: String) {
        self.project = project
    }

    // MARK: Reading

    /// Reads the catalog and the versions of its views: in one pipeline, unless views have come since the last time.
    func read(from store: some OnlineStore) async throws(StoreError) -> [String: Document] {
        let known = [CatalogStore.catalogName] + (record?.views ?? []).map(CatalogStore.versionsName)
        var read = try await Self.documents(known, store)
        guard let document = read[CatalogStore.catalogName], document != documents[CatalogStore.catalogName],
            let next = try? Self.decode(document)
        else { return read }
        let listed = next.views.map(CatalogStore.versionsName)
        read.merge(try await Self.documents(listed.filter { read[$0] == nil }, store)) { $1 }
        return read
    }

    private static func documents(
        _ names: [String], _ store: some OnlineStore
    ) async throws(StoreError) -> [String: Document] {
        guard !names.isEmpty else { return [:] }
        var found: [String: Document] = [:]
        for (name, document) in zip(names, try await store.documents(names)) { found[name] = document }
        return found
    }

    // MARK: Assembling

    /// Takes what `read` returned. `true` when `current` is another one afterwards.
    @discardableResult
    mutating func assemble(_ read: [String: Document]) -> Bool {
        problems = []
        guard let record = newestRecord(read[CatalogStore.catalogName]) else { return false }
        var views: [String: ServingCatalog.ViewState] = [:]
        var isSame = record == self.record && current != nil
        for view in record.views {
            let old = current?.views[view]
            let state = state(of: view, read[CatalogStore.versionsName(view)], old)
            isSame = isSame && state.isSame
            views[view] = state.state
        }
        let (services, problems) = Self.services(record)
        self.problems += problems
        guard !isSame else { return false }
        forget(all: self.record?.views ?? [], but: record.views)
        self.record = record
        current = ServingCatalog(
            generation: (current?.generation ?? 0) + 1, project: project, hash: record.hash,
            appliedAt: record.appliedAt, viewNames: record.views, views: views, services: services,
            refused: record.refused ?? [:], refusedServices: record.refusedServices ?? [:])
        return true
    }

    /// The record of a document, or the last good one; `nil` where there is neither.
    private mutating func newestRecord(_ document: Document?) -> CatalogRecord? {
        guard let document else {
            problems.append(record == nil ? "nothing is applied to the store" : "the store lost its catalog")
            return record
        }
        if document == documents[CatalogStore.catalogName], let record { return record }
        do throws(StoreError) {
            let record = try Self.decode(document)
            documents[CatalogStore.catalogName] = document
            return record
        } catch {
            problems.append("the catalog can't be read: \(error)")
            return record
        }
    }

    private static func decode(_ document: Document) throws(StoreError) -> CatalogRecord {
        let record = try ControlDocument.decode(CatalogRecord.self, from: document.bytes)
        guard record.views.count <= maximumViews, Set(record.views).count == record.views.count else {
            throw StoreError(.corrupt, "a catalog with views twice, or with too many", detail: record.hash)
        }
        return record
    }

    /// What is known of a view now, and whether that is what was known before.
    private mutating func state(
        of view: String, _ document: Document?, _ old: ServingCatalog.ViewState?
    ) -> (state: ServingCatalog.ViewState, isSame: Bool) {
        let name = CatalogStore.versionsName(view)
        guard let document else {
            if case .filled = old { problems.append("the store lost the versions of view \(view)") }
            return (old ?? .unfilled, old != nil)
        }
        if let old, document == documents[name] { return (old, true) }
        do {
            if let (definition, version) = try Self.version(document, of: view) {
                documents[name] = document
                return (.filled(definition, version: version), false)
            }
            guard let old, case .filled = old else {
                documents[name] = document
                if case .unfilled = old { return (.unfilled, true) }
                return (.unfilled, false)
            }
            // A version that was read is only ever replaced by another. So the store came back without it: its rows are
            // gone too, and read as not found until it is filled again.
            problems.append("the store lost the version of view \(view) that is read")
            return (old, true)
        } catch {
            problems.append("view \(view) can't be read: \(error)")
            if let old, case .filled = old { return (old, true) }
            if case .unreadable = old { return (.unreadable(reason: "\(error)"), true) }
            return (.unreadable(reason: "\(error)"), false)
        }
    }

    /// The version that is read; `nil` where none is.
    private static func version(_ document: Document, of view: String) throws -> (FeatureView, Int)? {
        let versions = try ControlDocument.decode(ViewVersions.self, from: document.bytes)
        guard let version = versions.current else { return nil }
        let definition = try ViewDocument.decode(Array(version.definition.utf8))
        guard definition.name == view else {
            throw StoreError(.corrupt, "a view under the name of another", detail: definition.name)
        }
        return (definition, version.number)
    }

    private mutating func forget(all names: [String], but kept: [String]) {
        let kept = Set(kept)
        for name in names where !kept.contains(name) { documents[CatalogStore.versionsName(name)] = nil }
    }

    private static func services(_ record: CatalogRecord) -> ([String: [FeatureReference]], problems: [String]) {
        var services: [String: [FeatureReference]] = [:]
        var problems: [String] = []
        for (name, features) in record.services {
            do throws(LookupError) {
                var references: [FeatureReference] = []
                for feature in features { references.append(try FeatureReference.parse(feature)) }
                services[name] = references
            } catch {
                problems.append("service \(name) can't be read: \(error)")
            }
        }
        return (services, problems.sorted())
    }
}
