package import FeatureModel
package import OnlineStore
package import RedisClient
import Synchronization

/// Rows that Feast materialized into its Redis, read only, under the definitions of its registry file.
///
/// It stands where our own store would: catalog and versions come out of the registry, rows are packed as ours, so that every
/// lookup, route and encoder works as it does on our own. The file is read again when it changes; while it can't be read, calls for
/// documents fail and rows go on being read by what was good before. Free to share.
package final class FeastStore: OnlineStore {
    /// Where Feast's rows are and how they are spelled.
    package struct Configuration: Sendable {
        /// Feast's own project name: the end of every key.
        package var project: String
        /// The path of the registry file.
        package var registry: String
        package var redis: RedisClient.Configuration
        /// For one read, waiting for a connection included.
        package var callTimeout = Duration.seconds(1)
        /// `entity_key_serialization_version`.
        package var keyVersion = FeastLayout.KeyVersion.v3
        /// Whether rows lie under names with versions in them.
        package var versionedNames = false
        /// Hashes that are asked for in one pipeline.
        package var keysPerPipeline = 256

        package init(project: String, registry: String, redis: RedisClient.Configuration) {
            self.project = project
            self.registry = registry
            self.redis = redis
        }
    }

    private struct State {
        var stamp: FeastRegistryFile.Stamp?
        /// Of the file under `stamp`; `nil` while it is good.
        var failure: StoreError?
        var catalog: FeastCatalog?
    }

    let configuration: Configuration
    private let client: RedisClient
    private let file: FeastRegistryFile
    private let onRegistry: @Sendable (FeastRegistry) -> Void
    private let state = Mutex(State())

    /// Connects to nothing and reads nothing yet. `onRegistry` is told of each registry that is served from then on. Throws
    /// `misconfigured` for a Redis that can't be meant.
    package init(
        _ configuration: Configuration, onRegistry: @escaping @Sendable (FeastRegistry) -> Void = { _ in }
    ) throws(StoreError) {
        do throws(RedisError) {
            client = try RedisClient(configuration.redis)
        } catch {
            throw StoreError(error)
        }
        self.configuration = configuration
        self.onRegistry = onRegistry
        file = FeastRegistryFile(path: configuration.registry)
    }

    // MARK: The catalog

    /// Names of the views that are served, sorted, as the registry has them now.
    ///
    /// - Throws: `misconfigured` for a file that isn't there or is no registry, with words on it.
    package func viewNames() async throws(StoreError) -> [String] { try await catalog().viewNames }

    package func document(_ name: String) async throws(StoreError) -> Document? {
        try await catalog().documents[name]
    }

    package func documents(_ names: [String]) async throws(StoreError) -> [Document?] {
        let documents = try await catalog().documents
        return names.map { documents[$0] }
    }

    /// The registry's catalog, read anew where the file has changed.
    private func catalog() async throws(StoreError) -> FeastCatalog {
        let known = state.withLock { $0.stamp }
        guard let contents = try await file.contents(unless: known) else { return try standing() }
        let made: Result<(FeastRegistry, FeastCatalog), StoreError> = parse(contents)
        let isNews = state.withLock { state in
            state.stamp = contents.isSettled ? contents.stamp : nil
            switch made {
            case .success(let (_, catalog)):
                defer { (state.failure, state.catalog) = (nil, catalog) }
                return state.catalog?.hash != catalog.hash
            case .failure(let error):
                state.failure = error
                return false
            }
        }
        let (registry, catalog) = try made.get()
        if isNews { onRegistry(registry) }
        return catalog
    }

    private func standing() throws(StoreError) -> FeastCatalog {
        let (failure, catalog) = state.withLock { ($0.failure, $0.catalog) }
        if let failure { throw failure }
        guard let catalog else { throw StoreError(.unavailable, "Feast's registry was not read yet") }
        return catalog
    }

    private func parse(_ contents: FeastRegistryFile.Contents) -> Result<(FeastRegistry, FeastCatalog), StoreError> {
        let previous = state.withLock { $0.catalog }
        let registry: FeastRegistry
        do throws(FeastRegistry.DecodingError) {
            registry = try FeastRegistry(
                contents.bytes, project: configuration.project, versionedNames: configuration.versionedNames)
        } catch {
            return .failure(
                StoreError(
                    .misconfigured, "Feast's registry can't be read", detail: "\(file.path): \(error.description)"))
        }
        do throws(StoreError) {
            let catalog = try FeastCatalog(
                registry, project: configuration.project, modifiedAt: contents.stamp.modifiedAt, after: previous)
            // The same definitions again are no reason to forget those before them.
            return .success((registry, previous.flatMap { $0.hash == catalog.hash ? $0 : nil } ?? catalog))
        } catch {
            return .failure(error)
        }
    }

    // MARK: Rows

    package func read(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> [[UInt8]?] {
        guard let view = state.withLock({ $0.catalog?.views[space.viewKey] }) else {
            throw StoreError(.unavailable, "Feast's registry has another definition of the view by now")
        }
        let deadline = ContinuousClock.now + configuration.callTimeout
        var rows: [[UInt8]?] = []
        rows.reserveCapacity(keys.count)
        var index = 0
        while index < keys.count {
            let chunk = keys[index..<min(index + max(1, configuration.keysPerPipeline), keys.count)]
            rows += try await read(chunk, view, deadline)
            index = chunk.endIndex
        }
        return rows
    }

    private func read(
        _ keys: ArraySlice<EntityKey>, _ view: FeastCatalog.View, _ deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> [[UInt8]?] {
        var pipeline = RedisPipeline()
        for key in keys {
            let redisKey = view.redisKey(key, project: configuration.project, version: configuration.keyVersion)
            guard let redisKey else {
                throw StoreError(.corrupt, "a key of the view can't be spelled as Feast does")
            }
            pipeline.begin("HMGET", argumentCount: 1 + view.fields.count)
            pipeline.add(redisKey[...])
            for field in view.fields { pipeline.add(field[...]) }
        }
        do throws(RedisError) {
            return try await client.send(pipeline, deadline: deadline, idempotent: true) { replies throws(RedisError) in
                try Self.rows(replies, keys, view)
            }
        } catch {
            throw StoreError(error)
        }
    }

    private static func rows(
        _ replies: [RedisReply], _ keys: ArraySlice<EntityKey>, _ view: FeastCatalog.View
    ) throws(RedisError) -> [[UInt8]?] {
        var rows: [[UInt8]?] = []
        rows.reserveCapacity(replies.count)
        for (key, reply) in zip(keys, replies) {
            // Something else under one key is the trouble of that key alone.
            if case .error(let error) = reply, error.kind == .wrongtype {
                rows.append([])
                continue
            }
            var stored: [[UInt8]?] = []
            stored.reserveCapacity(view.fields.count)
            for element in try reply.elements() { stored.append(try element.bytes()) }
            rows.append(view.packedRow(key, stored))
        }
        return rows
    }

    package func inspect(_ key: EntityKey, in space: KeySpace) async throws(StoreError) -> StoredRow? {
        // How long Feast's hash lives is no business of one view's.
        try await read([key], in: space).first.flatMap(\.self).map { StoredRow(bytes: $0, remaining: nil) }
    }

    /// What the registry has, and whether Redis answers.
    package func diagnose() async throws(StoreError) -> [StoreFinding] {
        let views = try await viewNames().count
        var ping = RedisPipeline()
        ping.begin("PING", argumentCount: 0)
        var findings = [
            StoreFinding(
                check: "registry", grade: .good,
                text: "\(file.path): \(views) views of project \(configuration.project) are served")
        ]
        do throws(RedisError) {
            try await client.send(ping, deadline: ContinuousClock.now + configuration.callTimeout, idempotent: true) {
                replies throws(RedisError) in
                for reply in replies { if case .error(let error) = reply { throw RedisError(error) } }
            }
            findings.append(StoreFinding(check: "connection", grade: .good, text: "Redis answers"))
        } catch {
            let text = "\(StoreError(error)); check serve.feast.redis, and password where Redis wants one"
            findings.append(StoreFinding(check: "connection", grade: .bad, text: text))
        }
        return findings
    }

    package func close() async { await client.close() }
}
