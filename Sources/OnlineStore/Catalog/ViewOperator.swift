package import FeatureModel

/// What operators do to the versions, the pause and the watermarks of a view, where nothing but the store is at hand.
///
/// Versions and pauses are changed here alone, by command line and admin listener alike. The command line sets watermarks
/// through the engine, which asks the source first; here only their spelling can be checked.
///
/// Every change is a compare-and-swap of a control document or a fenced write of a marker, so callers in several
/// processes come one after the other.
package struct ViewOperator: Sendable {
    private let project: String
    private let store: any OnlineStore
    /// Names this process to others that want the same lease.
    private let owner: String
    private let catalog: CatalogStore
    /// Microseconds since 1970.
    private let now: @Sendable () -> Int64

    package init(
        project: String, store: any OnlineStore, owner: String, now: @escaping @Sendable () -> Int64
    ) {
        self.project = project
        self.store = store
        self.owner = owner
        self.now = now
        catalog = CatalogStore(store)
    }

    /// The version that is read, before and after a change.
    package struct Flip: Hashable, Sendable {
        package let before: Int?
        package let after: Int
    }

    /// How long a change of a marker may take at most.
    private static let lease = Duration.seconds(15)

    // MARK: Versions

    /// The versions of a view that is applied.
    package func versions(of view: String) async throws(OperatorError) -> ViewVersions {
        let record: CatalogRecord?
        do throws(StoreError) {
            if let versions = try await catalog.versions(of: view) { return versions }
            record = try await catalog.catalog()?.record
        } catch {
            throw .store(error)
        }
        guard let record else { throw .notApplied(project: project) }
        throw .unknownView(view, known: record.views)
    }

    /// Makes a built version, or the previous one, the one that is read. The one that is read already stays it.
    /// `expected` is the version that must be read until now; `nil` stands for any.
    package func activate(
        _ view: String, _ number: Int, expecting expected: Int? = nil
    ) async throws(OperatorError) -> Flip {
        _ = try await versions(of: view)
        return try await flip(view, expecting: expected) { versions throws(OperatorError) in
            guard versions.version(number) != nil else {
                throw .unknownVersion(view: view, number: number, known: versions.versions.map(\.number))
            }
            return number
        }
    }

    /// Makes the previous version the one that is read. `expected` is the version that must be read until now.
    package func rollback(_ view: String, expecting expected: Int? = nil) async throws(OperatorError) -> Flip {
        _ = try await versions(of: view)
        return try await flip(view, expecting: expected) { versions throws(OperatorError) in
            guard let previous = versions.previous else { throw .noPrevious(view: view) }
            return previous.number
        }
    }

    private func flip(
        _ view: String, expecting expected: Int?,
        to choose: (ViewVersions) throws(OperatorError) -> Int
    ) async throws(OperatorError) -> Flip {
        var outcome: Result<Flip, OperatorError>?
        do throws(StoreError) {
            _ = try await catalog.updateVersions(of: view) { versions in
                let before = versions
                outcome = Self.flip(&versions, expected, choose, at: now())
                return versions != before
            }
        } catch {
            throw .store(error)
        }
        guard let outcome else { throw .notApplied(project: project) }
        return try outcome.get()
    }

    private static func flip(
        _ versions: inout ViewVersions, _ expected: Int?, _ choose: (ViewVersions) throws(OperatorError) -> Int,
        at now: Int64
    ) -> Result<Flip, OperatorError> {
        let (view, current) = (versions.view, versions.current?.number)
        do throws(OperatorError) {
            if let expected, expected != current {
                throw .otherCurrent(view: view, expected: expected, found: current)
            }
            let number = try choose(versions)
            if number == current { return .success(Flip(before: current, after: number)) }
            guard let version = versions.version(number) else { throw .noPrevious(view: view) }
            let keep = try definition(of: version, view).keepPrevious
            guard versions.activate(number, at: now, keepPrevious: keep) else {
                throw .notReadable(view: view, number: number, state: version.state)
            }
            return .success(Flip(before: current, after: number))
        } catch {
            return .failure(error)
        }
    }

    /// Lets a view rest, or go on. Returns whether it was paused before.
    @discardableResult
    package func setPaused(_ view: String, _ paused: Bool) async throws(OperatorError) -> Bool {
        _ = try await versions(of: view)
        var before = false
        do throws(StoreError) {
            _ = try await catalog.updateVersions(of: view) { versions in
                before = versions.isPaused
                guard before != paused else { return false }
                versions.isPaused = paused
                return true
            }
        } catch {
            throw .store(error)
        }
        return before
    }

    /// The view as a version defines it.
    package static func definition(
        of version: ViewVersions.Version, _ view: String
    ) throws(OperatorError) -> FeatureView {
        do throws(ViewDocument.DecodingFailure) {
            return try ViewDocument.decode(Array(version.definition.utf8))
        } catch {
            throw .corruptDefinition(view: view, text: error.description)
        }
    }

    // MARK: Watermarks

    /// How far each of the versions got; those that were never synced are left out.
    package func markers(of versions: ViewVersions) async throws(OperatorError) -> [Int: MarkerState] {
        guard !versions.synced.isEmpty else { return [:] }
        return try await withSession(Lease(name: versions.view, owner: owner, token: 0)) {
            session throws(OperatorError) in
            var states: [Int: MarkerState] = [:]
            for version in versions.synced {
                states[version.number] = try await marker(version, versions.view, session)?.state
            }
            return states
        }
    }

    /// Sets the watermark of every synced version of a paused view, under the view's lease.
    ///
    /// The text must be of the same kind as the present watermark. Whether the source knows the place is found out by
    /// the next pass: nothing here can ask the source.
    ///
    /// - Returns: The watermarks before, by version.
    package func setWatermark(_ view: String, to watermark: String) async throws(OperatorError) -> [Int: String] {
        guard try await versions(of: view).isPaused else { throw .notPaused(view: view) }
        let lease = try await takeLease(view)
        do throws(OperatorError) {
            let before = try await withSession(lease) { session throws(OperatorError) in
                try await setWatermark(view, watermark, session)
            }
            await giveBack(lease)
            return before
        } catch {
            await giveBack(lease)
            throw error
        }
    }

    private func setWatermark(
        _ view: String, _ watermark: String, _ session: any StoreSession
    ) async throws(OperatorError) -> [Int: String] {
        // Read again under the lease: somebody may have resumed the view meanwhile.
        let versions = try await versions(of: view)
        guard versions.isPaused else { throw .notPaused(view: view) }
        var changes: [(space: KeySpace, state: MarkerState)] = []
        var before: [Int: String] = [:]
        for version in versions.synced {
            guard let found = try await marker(version, view, session) else { continue }
            var state = found.state
            if let expected = WatermarkKind.mismatch(watermark, with: state.cursor) {
                throw .wrongWatermark(view: view, found: watermark.shortened, expected: expected)
            }
            before[version.number] = state.cursor
            state.cursor = watermark
            state.sequence += 1
            state.token = session.lease.token
            changes.append((found.space, state))
        }
        guard !changes.isEmpty else { throw .noMarker(view: view) }
        do throws(StoreError) {
            for change in changes { try await session.advance(change.space, to: try change.state.marker()) }
        } catch {
            throw .store(error)
        }
        return before
    }

    private func marker(
        _ version: ViewVersions.Version, _ view: String, _ session: any StoreSession
    ) async throws(OperatorError) -> (space: KeySpace, state: MarkerState)? {
        let definition = try Self.definition(of: version, view)
        let space = KeySpace(project: project, viewKey: definition.key, version: version.number)
        do throws(StoreError) {
            guard let marker = try await session.marker(space) else { return nil }
            var state = try MarkerState.decode(marker)
            state.sequence = marker.sequence
            return (space, state)
        } catch {
            throw .store(error)
        }
    }

    private func withSession<Result: Sendable>(
        _ lease: Lease, _ body: (any StoreSession) async throws(OperatorError) -> Result
    ) async throws(OperatorError) -> Result {
        let session: any StoreSession
        do throws(StoreError) {
            session = try await store.openSession(lease)
        } catch {
            throw .store(error)
        }
        do throws(OperatorError) {
            let result = try await body(session)
            await session.close()
            return result
        } catch {
            await session.close()
            throw error
        }
    }

    private func takeLease(_ view: String) async throws(OperatorError) -> Lease {
        let holder: String
        do throws(StoreError) {
            if let lease = try await store.acquireLease(view, owner: owner, duration: Self.lease) { return lease }
            holder = try await store.leaseHolder(view)?.owner ?? "another service"
        } catch {
            throw .store(error)
        }
        throw .leaseHeld(view: view, owner: holder)
    }

    private func giveBack(_ lease: Lease) async {
        // If it can't be given back it expires.
        try? await store.releaseLease(lease)
    }
}

extension String {
    /// At most 100 characters of it, for messages.
    fileprivate var shortened: String {
        count > 100 ? "\(prefix(100))…" : self
    }
}
