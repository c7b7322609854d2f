import FeatureModel

// Leases, markers and control documents.

extension MemoryState {
    mutating func acquireLease(
        _ name: String, owner: String, duration: Duration, wallSeconds: Int64, at now: ContinuousClock.Instant
    ) throws(StoreError) -> Lease? {
        if let holder = leaseHolder(name, at: now), holder.owner != owner { return nil }
        if contents.leases[name] == nil { try charge(name.utf8.count + owner.utf8.count) }
        lastToken = max(lastToken + 1, wallSeconds)
        contents.leases[name] = LeaseRecord(owner: owner, token: lastToken, expiresAt: now.advanced(by: duration))
        return Lease(name: name, owner: owner, token: lastToken)
    }

    mutating func renewLease(_ lease: Lease, duration: Duration, at now: ContinuousClock.Instant) -> Bool {
        guard leaseHolder(lease.name, at: now) == lease else { return false }
        contents.leases[lease.name]?.expiresAt = now.advanced(by: duration)
        return true
    }

    /// The record stays: its token fences who held the lease before.
    mutating func releaseLease(_ lease: Lease, at now: ContinuousClock.Instant) {
        guard leaseHolder(lease.name, at: now) == lease else { return }
        contents.leases[lease.name]?.expiresAt = nil
    }

    func leaseHolder(_ name: String, at now: ContinuousClock.Instant) -> Lease? {
        guard let record = contents.leases[name], let expiresAt = record.expiresAt, expiresAt > now else { return nil }
        return Lease(name: name, owner: record.owner, token: record.token)
    }

    /// - Throws: `fenced` when the lease was taken again since.
    func requireNewest(_ lease: Lease) throws(StoreError) {
        guard (contents.leases[lease.name]?.token ?? 0) <= lease.token else {
            throw StoreError(.fenced, "a newer lease exists")
        }
    }

    mutating func advance(_ space: KeySpace, to marker: Marker, lease: Lease) throws(StoreError) {
        try requireNewest(lease)
        let stored = contents.markers[space]
        guard (stored?.sequence ?? 0) == marker.sequence &- 1 else {
            throw StoreError(.markerMoved, "the marker is not where this writer left it")
        }
        try charge(marker.bytes.count - (stored?.bytes.count ?? 0))
        contents.markers[space] = marker
    }

    mutating func replaceDocument(
        _ name: String, _ bytes: [UInt8], expecting revision: Int64
    ) throws(StoreError) -> Bool {
        let stored = contents.documents[name]
        guard (stored?.revision ?? 0) == revision else { return false }
        try charge(bytes.count - (stored?.bytes.count ?? -name.utf8.count))
        contents.documents[name] = Document(bytes: bytes, revision: revision + 1)
        return true
    }

    mutating func append(_ entry: [UInt8], to journal: String, limit: Int) throws(StoreError) {
        var entries = contents.journals[journal] ?? []
        let surplus = entries.prefix(max(0, entries.count + 1 - max(1, limit)))
        try charge(entry.count - surplus.reduce(0) { $0 + $1.count })
        entries.removeFirst(surplus.count)
        entries.append(entry)
        contents.journals[journal] = entries
    }

    func entries(of journal: String, limit: Int) -> [[UInt8]] {
        (contents.journals[journal] ?? []).suffix(max(0, limit)).reversed()
    }

    mutating func put(
        _ fields: [String: [UInt8]], into collection: String, limit: Int
    ) throws(StoreError) -> Bool {
        var stored = contents.collections[collection] ?? [:]
        var growth = 0
        for (name, value) in fields {
            growth += value.count - (stored[name]?.count ?? -name.utf8.count)
            stored[name] = value
        }
        guard stored.count <= limit else { return false }
        try charge(growth)
        contents.collections[collection] = stored
        return true
    }

    mutating func removeFields(_ fields: [String], from collection: String) {
        for name in fields {
            guard let value = contents.collections[collection]?.removeValue(forKey: name) else { continue }
            contents.usedBytes -= value.count + name.utf8.count
        }
        if contents.collections[collection]?.isEmpty == true { contents.collections[collection] = nil }
    }
}
