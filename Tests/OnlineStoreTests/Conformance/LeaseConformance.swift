import OnlineStore
import Testing

#if canImport(Glibc)
    import Glibc
#endif

extension StoreConformance {
    static let leaseTime = Duration.seconds(600)

    @Test(arguments: StoreHome.available)
    func aLeaseIsHeldByOneOwner(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            #expect(try await store.leaseHolder(name) == nil)
            let lease = try #require(await store.acquireLease(name, owner: "a", duration: Self.leaseTime))
            #expect(lease.name == name && lease.owner == "a")
            #expect(try await store.acquireLease(name, owner: "b", duration: Self.leaseTime) == nil)
            #expect(try await store.leaseHolder(name) == lease)
            let other = try #require(
                await store.acquireLease(Self.uniqueName(), owner: "b", duration: Self.leaseTime))
            #expect(other.owner == "b")
            #expect(try await store.leaseHolder(name) == lease)
        }
    }

    @Test(arguments: StoreHome.available)
    func tokensGrowAndAreNeverBelowTheClock(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            var last = Int64(time(nil)) - 60
            for round in 0..<20 {
                let owner = round % 3 == 0 ? "a" : "b"
                let lease = try #require(await store.acquireLease(name, owner: owner, duration: Self.leaseTime))
                #expect(lease.token > last)
                last = lease.token
                try await store.releaseLease(lease)
            }
        }
    }

    @Test(arguments: StoreHome.available)
    func theSameOwnerMayTakeItsLeaseAgainAndFencesItsFormerSelf(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            let first = try #require(await store.acquireLease(name, owner: "a", duration: Self.leaseTime))
            let former = try await store.openSession(first)
            let second = try #require(await store.acquireLease(name, owner: "a", duration: Self.leaseTime))
            #expect(second.token > first.token)
            #expect(try await store.leaseHolder(name) == second)
            #expect(try await store.renewLease(second, duration: Self.leaseTime))
            #expect(try await !store.renewLease(first, duration: Self.leaseTime))
            await expectCode(.fenced) {
                try await former.advance(Self.uniqueSpace(), to: .init(sequence: 1, bytes: []))
            }
        }
    }

    @Test(arguments: StoreHome.available)
    func aReleasedLeaseIsFreeAndOnlyItsHolderReleasesIt(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            let first = try #require(await store.acquireLease(name, owner: "a", duration: Self.leaseTime))
            try await store.releaseLease(first)
            #expect(try await store.leaseHolder(name) == nil)
            #expect(try await !store.renewLease(first, duration: Self.leaseTime))
            let second = try #require(await store.acquireLease(name, owner: "b", duration: Self.leaseTime))
            try await store.releaseLease(first)
            #expect(try await store.leaseHolder(name) == second)
            try await store.releaseLease(second)
            try await store.releaseLease(second)
            #expect(try await store.leaseHolder(name) == nil)
        }
    }

    @Test(arguments: StoreHome.available)
    func anExpiredLeaseGoesToTheNextAndStaysLost(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            let first = try #require(await store.acquireLease(name, owner: "a", duration: .milliseconds(5)))
            let expired = try await Self.becomesTrue {
                try await store.acquireLease(name, owner: "b", duration: Self.leaseTime) != nil
            }
            #expect(expired)
            #expect(try await !store.renewLease(first, duration: Self.leaseTime))
            try await store.releaseLease(first)
            let holder = try #require(await store.leaseHolder(name))
            #expect(holder.owner == "b" && holder.token > first.token)
        }
    }

    @Test(arguments: StoreHome.available)
    func anExpiredLeaseHasNoHolder(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            _ = try #require(await store.acquireLease(name, owner: "a", duration: .milliseconds(5)))
            #expect(try await Self.becomesTrue { try await store.leaseHolder(name) == nil })
        }
    }

    /// Renewed for long, a short lease is still held when another of the same length, taken later, has ended.
    @Test(arguments: StoreHome.available)
    func aRenewedLeaseLastsLonger(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            let lease = try #require(await store.acquireLease(name, owner: "a", duration: .seconds(5)))
            #expect(try await store.renewLease(lease, duration: .milliseconds(5)))
            #expect(try await Self.becomesTrue { try await store.leaseHolder(name) == nil })

            let second = try #require(await store.acquireLease(name, owner: "a", duration: .seconds(2)))
            #expect(try await store.renewLease(second, duration: Self.leaseTime))
            let clock = Self.uniqueName()
            _ = try #require(await store.acquireLease(clock, owner: "a", duration: .milliseconds(20)))
            #expect(try await Self.becomesTrue { try await store.leaseHolder(clock) == nil })
            #expect(try await store.leaseHolder(name) == second)
        }
    }

    @Test(arguments: StoreHome.available)
    func ofManyWhoWantALeaseOneGetsIt(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            let leases = try await withThrowingTaskGroup(of: Lease?.self) { group in
                for number in 0..<16 {
                    group.addTask {
                        try await store.acquireLease(name, owner: "w\(number)", duration: Self.leaseTime)
                    }
                }
                return try await group.reduce(into: []) { $0 += $1.map { [$0] } ?? [] }
            }
            #expect(leases.count == 1)
            #expect(try await store.leaseHolder(name) == leases.first)
        }
    }
}
