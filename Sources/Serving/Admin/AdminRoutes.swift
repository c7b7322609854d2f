import FeatureModel
import HTTPTypes
import Hummingbird
import Logging
import OnlineStore
import Resilience

/// The routes of the admin listener.
struct AdminRoutes: Sendable {
    let sources: AdminSources
    let access: AdminAccess
    let changes: AdminChanges
    let audit: AuditLog

    /// Adds them. A panel that the daemon doesn't have has no routes.
    func add(to router: Router<AdminContext>) {
        let root = router.group("/admin/v1")
        func group(_ scope: AdminScope, _ kind: RouteClass) -> RouterGroup<AdminContext> {
            root.group().add(middleware: AdminPermit(access: access, scope: scope, kind: kind))
        }
        router.group().add(middleware: AdminPermit(access: access, scope: .read, kind: .read))
            .get("/openapi.json") { _, _ in AdminJSON.response(.ok, Array(AdminOpenAPI.document.utf8)) }
        let views = AdminViews(sources)
        addReads(group(.read, .read), views)
        addViewChanges(group(.operate, .change), group(.admin, .change), views)
        if let panel = sources.breakers { addBreakers(panel, group(.read, .read), group(.operate, .change)) }
        if let panel = sources.limits {
            group(.read, .read).get("/limits") { _, _ in Self.answer(Self.document(panel.limits())) }
        }
        if let panel = sources.config { addConfig(panel, group(.admin, .read), group(.admin, .change)) }
        if let registry = sources.models {
            let models = AdminModels(registry: registry)
            addModels(models, group(.read, .read), group(.operate, .change))
            let repository = router.group("/v2/repository")
            repository.group().add(middleware: AdminPermit(access: access, scope: .read, kind: .read))
                .post("/index") { _, _ in Self.answer(await models.index()) }
            let load = repository.group().add(middleware: AdminPermit(access: access, scope: .operate, kind: .change))
            // Clients of that protocol know no Idempotency-Key, and loading twice is loading once.
            change(load, .post, "/models/{name}/load", "models.reload", "name", needsKey: false) { change in
                try await models.reload(change.context.name("name"), version: nil)
            }
        }
        group(.admin, .read).get("/audit") { [audit] request, _ in
            let limit = try Self.limit(request.uri.queryParameters.get("limit"))
            return Self.answer(["entries": .list(audit.newest(limit)), "failure": .optional(audit.failure)])
        }
    }

    private func addReads(_ group: RouterGroup<AdminContext>, _ views: AdminViews) {
        group.get("/status") { [sources, audit] _, _ in
            var status = try await views.status()
            status["audit"] = .text(audit.failure ?? "ok")
            if let config = sources.config?.reading { status["config"] = Self.summary(config) }
            return Self.answer(.mapping(status))
        }
        group.get("/views") { _, _ in Self.answer(try await views.list()) }
        group.get("/versions/{view}") { _, context in
            Self.answer(try await views.versions(context.name("view")))
        }
        group.get("/watermarks/{view}") { _, context in
            Self.answer(try await views.watermarks(context.name("view")))
        }
    }

    private func addViewChanges(
        _ operate: RouterGroup<AdminContext>, _ admin: RouterGroup<AdminContext>, _ views: AdminViews
    ) {
        change(operate, .post, "/versions/{view}:activate", "versions.activate", "view") { change in
            try change.allow(["version", "expect_current"])
            guard let version = try change.number("version") else { throw change.missing("version") }
            return try await views.activate(change, version, expecting: change.number("expect_current"))
        }
        change(operate, .post, "/versions/{view}:rollback", "versions.rollback", "view") { change in
            try change.allow(["expect_current"])
            return try await views.rollback(change, expecting: change.number("expect_current"))
        }
        for (word, isPaused) in [("pause", true), ("resume", false)] {
            change(operate, .post, "/sync/{view}:\(word)", "sync.\(word)", "view") { change in
                try change.allow([])
                return try await views.setPaused(change.context.name("view"), isPaused)
            }
        }
        change(operate, .post, "/sync/{view}:run", "sync.run", "view") { change in
            try change.allow([])
            return try await views.requestRun(change.context.name("view"))
        }
        change(admin, .put, "/watermarks/{view}", "watermarks.set", "view") { change in
            try change.allow(["watermark"])
            guard let watermark = try change.text("watermark") else { throw change.missing("watermark") }
            return try await views.setWatermark(change.context.name("view"), to: watermark)
        }
    }

    private func addBreakers(
        _ panel: any BreakerPanel, _ read: RouterGroup<AdminContext>, _ operate: RouterGroup<AdminContext>
    ) {
        read.get("/breakers") { _, _ in
            Self.answer(["breakers": .list(panel.breakers().sorted { $0.name < $1.name }.map(Self.document))])
        }
        change(operate, .post, "/breakers/{name}:force", "breakers.force", "name") { change in
            try change.allow(["state"])
            guard let word = try change.text("state") else { throw change.missing("state") }
            guard let override = OverridableBreaker.Override(rawValue: word) else {
                throw AdminProblem(.badRequest, "Bad request", "state must be open or closed")
            }
            return try Self.set(panel, change, override)
        }
        change(operate, .post, "/breakers/{name}:reset", "breakers.reset", "name") { change in
            try change.allow([])
            return try Self.set(panel, change, nil)
        }
    }

    private func addModels(
        _ models: AdminModels, _ read: RouterGroup<AdminContext>, _ operate: RouterGroup<AdminContext>
    ) {
        read.get("/models") { _, _ in Self.answer(await models.list()) }
        change(operate, .post, "/models/{name}:reload", "models.reload", "name") { change in
            try change.allow(["version"])
            return try await models.reload(change.context.name("name"), version: change.text("version"))
        }
        change(operate, .post, "/models/{name}:rollback", "models.rollback", "name") { change in
            try change.allow([])
            return try await models.rollback(change)
        }
    }

    private static func set(
        _ panel: any BreakerPanel, _ change: AdminChangeRequest, _ override: OverridableBreaker.Override?
    ) throws -> AdminChange {
        guard let (before, after) = panel.set(try change.context.name("name"), override) else {
            let known = panel.breakers().map(\.name).sorted().joined(separator: ", ")
            throw AdminProblem(.notFound, "Not found", "there is no such breaker; there are: \(known)")
        }
        return AdminChange(
            before: .text(before.state), after: .text(after.state), answer: document(after))
    }

    private func addConfig(
        _ panel: any ConfigPanel, _ read: RouterGroup<AdminContext>, _ admin: RouterGroup<AdminContext>
    ) {
        read.get("/config") { _, _ in
            let reading = panel.reading
            guard case .mapping(var members) = Self.summary(reading) else { return Self.answer(.null) }
            members["document"] = reading.document
            return Self.answer(.mapping(members))
        }
        change(admin, .post, "/config:reload", "config.reload", nil) { change in
            try change.allow([])
            let before = panel.reading
            let after = await panel.reload()
            guard after.problem == nil else {
                throw AdminProblem(
                    .unprocessableContent, "Config not taken",
                    "the config file is not valid, generation \(after.generation) stays in force: \(after.problem ?? "")"
                )
            }
            return AdminChange(before: Self.summary(before), after: Self.summary(after), answer: Self.summary(after))
        }
    }

    // MARK: Parts

    private func change(
        _ group: RouterGroup<AdminContext>, _ method: HTTPRequest.Method, _ path: RouterPath, _ action: String,
        _ parameter: String?, needsKey: Bool = true, _ work: @escaping AdminChanges.Work
    ) {
        group.on(path, method: method) { [changes] request, context in
            try await changes.respond(
                to: request, context, action: action, parameter: parameter, needsKey: needsKey, work)
        }
    }

    private static func answer(_ document: DocumentValue) -> Response {
        AdminJSON.response(.ok, AdminJSON.encode(document))
    }

    private static func limit(_ text: String?) throws(AdminProblem) -> Int {
        guard let text else { return 100 }
        guard let limit = Int(text), (1...AuditLog.remembered).contains(limit) else {
            throw AdminProblem(
                .badRequest, "Bad request", "limit must be a whole number from 1 to \(AuditLog.remembered)")
        }
        return limit
    }

    private static func document(_ breaker: BreakerReading) -> DocumentValue {
        ["name": .text(breaker.name), "state": .text(breaker.state), "trips": .integer(Int64(breaker.trips))]
    }

    private static func document(_ limits: [LimitReading]) -> DocumentValue {
        let list = limits.sorted { $0.name < $1.name }.map { limit -> DocumentValue in
            [
                "name": .text(limit.name), "unit": .text(limit.unit), "limit": .integer(limit.limit),
                "used": limit.used.map { .integer($0) } ?? .null,
            ]
        }
        return ["limits": .list(list)]
    }

    private static func summary(_ config: ConfigReading) -> DocumentValue {
        [
            "hash": .text(config.hash), "generation": .integer(Int64(config.generation)),
            "loaded_at": .time(config.loadedAt), "problem": .optional(config.problem),
            "waits_for_restart": .list(config.waitsForRestart.map(DocumentValue.text)),
        ]
    }
}
