import FeatureModel
import OnlineStore

/// Views, versions and watermarks as the admin listener shows and changes them.
struct AdminViews: Sendable {
    private let project: String
    private let store: any OnlineStore
    private let catalog: CatalogStore
    private let views: ViewOperator
    private let requests: RunRequests
    /// Microseconds since 1970.
    private let wall: @Sendable () -> Int64

    init(_ sources: AdminSources) {
        project = sources.project
        store = sources.store
        catalog = CatalogStore(sources.store)
        requests = RunRequests(sources.store)
        wall = sources.wall
        views = ViewOperator(
            project: sources.project, store: sources.store, owner: sources.owner, now: sources.wall)
    }

    // MARK: Reading

    func status() async throws -> [String: DocumentValue] {
        let record = try await catalog.catalog()?.record
        var list: [DocumentValue] = []
        for name in record?.views ?? [] {
            guard let versions = try await catalog.versions(of: name) else { continue }
            list.append(try await status(of: versions))
        }
        return [
            "project": .text(project), "hash": .optional(record?.hash), "applied_at": .time(record?.appliedAt),
            "store_bytes": try await store.usedBytes().map { .integer($0) } ?? .null, "views": .list(list),
        ]
    }

    private func status(of versions: ViewVersions) async throws -> DocumentValue {
        let shown = versions.current ?? versions.next
        let state = try await views.markers(of: versions)[shown?.number ?? 0]
        return [
            "view": .text(versions.view), "version": .number(shown?.number),
            "state": .text(shown?.state.rawValue ?? "not applied"), "paused": .flag(versions.isPaused),
            "watermark": .optional(state?.cursor), "newest_event": .time(state?.newestEventTime),
            "last_success": .time(state?.lastSuccessAt), "last_sweep": .time(state?.lastSweepAt),
            "lease_holder": .optional(try await store.leaseHolder(versions.view)?.owner),
        ]
    }

    func list() async throws -> DocumentValue {
        var list: [DocumentValue] = []
        for name in try await catalog.catalog()?.record.views ?? [] {
            guard let versions = try await catalog.versions(of: name), let shown = versions.current ?? versions.next
            else {
                continue
            }
            list.append(Self.document(try ViewOperator.definition(of: shown, name), versions))
        }
        return ["views": .list(list)]
    }

    private static func document(_ view: FeatureView, _ versions: ViewVersions) -> DocumentValue {
        let keys = view.entity.keys.map { key -> DocumentValue in
            ["name": .text(key.name), "type": .text(key.type.rawValue)]
        }
        let features = view.features.map { feature -> DocumentValue in
            ["name": .text(feature.name), "type": .text(feature.type.spelling)]
        }
        return [
            "view": .text(view.name), "entity": .text(view.entity.name), "keys": .list(keys),
            "source": .text(view.source.from), "every": .text(view.every.spelling), "ttl": .text(view.ttl.spelling),
            "max_age": .optional(view.maxAge?.spelling), "version": .number(versions.current?.number),
            "paused": .flag(versions.isPaused), "features": .list(features),
        ]
    }

    func versions(_ view: String) async throws -> DocumentValue {
        Self.document(try await views.versions(of: view))
    }

    private static func document(_ versions: ViewVersions) -> DocumentValue {
        let list = versions.versions.map { version -> DocumentValue in
            [
                "version": .number(version.number), "state": .text(version.state.rawValue),
                "reason": .text(version.reason), "created_at": .time(version.createdAt),
                "activated_at": .time(version.activatedAt), "retire_at": .time(version.retireAt),
            ]
        }
        return [
            "view": .text(versions.view), "current": .number(versions.current?.number),
            "previous": .number(versions.previous?.number), "paused": .flag(versions.isPaused), "versions": .list(list),
        ]
    }

    func watermarks(_ view: String) async throws -> DocumentValue {
        let versions = try await views.versions(of: view)
        let list = try await views.markers(of: versions).sorted { $0.key < $1.key }.map {
            number, state -> DocumentValue in
            [
                "version": .number(number), "watermark": .text(state.cursor), "phase": .text(state.phase.rawValue),
                "epoch": .number(Int(state.epoch)), "updated_at": .time(state.updatedAt),
                "last_success": .time(state.lastSuccessAt),
            ]
        }
        return ["view": .text(view), "paused": .flag(versions.isPaused), "watermarks": .list(list)]
    }

    // MARK: Changing

    func activate(_ request: AdminChangeRequest, _ version: Int, expecting expected: Int?) async throws -> AdminChange {
        try await flip(request, expecting: expected) { _ in version }
    }

    func rollback(_ request: AdminChangeRequest, expecting expected: Int?) async throws -> AdminChange {
        try await flip(request, expecting: expected) { versions in
            guard let previous = versions.previous else { throw OperatorError.noPrevious(view: versions.view) }
            return previous.number
        }
    }

    /// After a flip the version before is the one to roll back to, and may be activated again. So a request that comes again
    /// because nobody knows what became of it goes from and to where it went at first, or nowhere.
    private func flip(
        _ request: AdminChangeRequest, expecting expected: Int?, to choose: (ViewVersions) throws -> Int
    ) async throws -> AdminChange {
        let view = try request.context.name("view")
        let aim = try await request.aim {
            let versions = try await views.versions(of: view)
            let current = versions.current?.number
            if let expected, expected != current {
                throw OperatorError.otherCurrent(view: view, expected: expected, found: current)
            }
            return AdminAim(before: current.map(String.init), after: String(try choose(versions)))
        }
        guard let after = Int(aim.after) else { throw OperatorError.noPrevious(view: view) }
        let before = aim.before.flatMap { Int($0) }
        if before != after, try await views.versions(of: view).current?.number == after {
            return Self.change(view, before, after)
        }
        let flip = try await views.activate(view, after, expecting: before)
        return Self.change(view, flip.before, flip.after)
    }

    private static func change(_ view: String, _ before: Int?, _ after: Int) -> AdminChange {
        AdminChange(
            before: ["current": .number(before)], after: ["current": .number(after)],
            answer: ["view": .text(view), "before": .number(before), "current": .number(after)])
    }

    func setPaused(_ view: String, _ isPaused: Bool) async throws -> AdminChange {
        let before = try await views.setPaused(view, isPaused)
        return AdminChange(
            before: ["paused": .flag(before)], after: ["paused": .flag(isPaused)],
            answer: ["view": .text(view), "paused": .flag(isPaused)])
    }

    /// Asks the sync service for a run ahead of the view's turn, and doesn't wait for it.
    func requestRun(_ view: String) async throws -> AdminChange {
        _ = try await views.versions(of: view)
        let before = try await requests.stamp(of: view).flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
        let now = wall()
        try await requests.add([view], at: now)
        return AdminChange(
            before: ["requested_at": .time(before)], after: ["requested_at": .time(now)],
            answer: ["view": .text(view), "requested_at": .time(now)])
    }

    func setWatermark(_ view: String, to watermark: String) async throws -> AdminChange {
        let before = try await views.setWatermark(view, to: watermark)
        let numbers = before.map { ("\($0.key)", DocumentValue.text($0.value)) }
        let documents = Dictionary(numbers, uniquingKeysWith: { $1 })
        return AdminChange(
            before: .mapping(documents), after: .mapping(documents.mapValues { _ in .text(watermark) }),
            answer: ["view": .text(view), "watermark": .text(watermark), "before": .mapping(documents)])
    }
}

extension DocumentValue {
    /// A time in RFC 3339 of microseconds since 1970; null for none.
    static func time(_ microseconds: Int64?) -> DocumentValue {
        microseconds.map { .text(Timestamps.format($0)) } ?? .null
    }

    static func optional(_ text: String?) -> DocumentValue { text.map { .text($0) } ?? .null }

    static func number(_ number: Int?) -> DocumentValue { number.map { .integer(Int64($0)) } ?? .null }
}
