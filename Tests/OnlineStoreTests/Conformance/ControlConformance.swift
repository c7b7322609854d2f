import OnlineStore
import Testing

// Documents, journals and collections.
extension StoreConformance {
    static let binary: [UInt8] = Array(0...255)

    @Test(arguments: StoreHome.available)
    func aDocumentIsReplacedOnlyAtTheRevisionExpected(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            #expect(try await store.document(name) == nil)
            #expect(try await !store.replaceDocument(name, bytes: [1], expecting: 1))
            #expect(try await store.document(name) == nil)
            #expect(try await store.replaceDocument(name, bytes: Self.binary, expecting: 0))
            #expect(try await store.document(name) == Document(bytes: Self.binary, revision: 1))
            for revision in [0, 2, -1] as [Int64] {
                #expect(try await !store.replaceDocument(name, bytes: [2], expecting: revision))
            }
            #expect(try await store.document(name) == Document(bytes: Self.binary, revision: 1))
            #expect(try await store.replaceDocument(name, bytes: [], expecting: 1))
            #expect(try await store.document(name) == Document(bytes: [], revision: 2))
            #expect(try await store.document(Self.uniqueName()) == nil)
        }
    }

    @Test(arguments: StoreHome.available)
    func largeDocumentsAreKept(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            #expect(try await store.replaceDocument(name, bytes: bytes, expecting: 0))
            #expect(try await store.document(name)?.bytes == bytes)
        }
    }

    @Test(arguments: StoreHome.available)
    func noReplacementOfADocumentIsLost(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            let tries = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        var done = 0
                        for _ in 0..<10_000 where done < 5 {
                            let stored = try await store.document(name)
                            let next = (stored?.bytes.first ?? 0) + 1
                            if try await store.replaceDocument(
                                name, bytes: [next], expecting: stored?.revision ?? 0)
                            {
                                done += 1
                            }
                        }
                        return done
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(tries == 30)
            #expect(try await store.document(name) == Document(bytes: [30], revision: 30))
        }
    }

    @Test(arguments: StoreHome.available)
    func aJournalKeepsItsNewestEntriesNewestFirst(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            #expect(try await store.entries(of: name, limit: 10) == [])
            for number in 0..<5 { try await store.append([UInt8(number)], to: name, limit: 3) }
            #expect(try await store.entries(of: name, limit: 10) == [[4], [3], [2]])
            #expect(try await store.entries(of: name, limit: 2) == [[4], [3]])
            #expect(try await store.entries(of: name, limit: 0) == [])
            try await store.append([], to: name, limit: 4)
            try await store.append(Self.binary, to: name, limit: 4)
            #expect(try await store.entries(of: name, limit: 10) == [Self.binary, [], [4], [3]])
            try await store.append([4], to: name, limit: 1)
            #expect(try await store.entries(of: name, limit: 10) == [[4]])
            #expect(try await store.entries(of: Self.uniqueName(), limit: 10) == [])
        }
    }

    @Test(arguments: StoreHome.available)
    func aCollectionKeepsItsFields(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            #expect(try await store.values(of: ["a", "b"], in: name) == [nil, nil])
            #expect(try await store.values(of: [], in: name) == [])
            #expect(try await store.fields(of: name) == [:])
            #expect(try await store.fieldCount(of: name) == 0)
            #expect(try await store.put([:], into: name, limit: 5))
            #expect(try await store.put(["a": [1], "ü {*}\n": Self.binary, "": []], into: name, limit: 5))
            #expect(try await store.values(of: ["", "x", "a", "a"], in: name) == [[], nil, [1], [1]])
            #expect(try await store.put(["a": [2]], into: name, limit: 5))
            #expect(try await store.fields(of: name) == ["a": [2], "ü {*}\n": Self.binary, "": []])
            #expect(try await store.fieldCount(of: name) == 3)
            try await store.removeFields(["a", "x", ""], from: name)
            try await store.removeFields([], from: name)
            #expect(try await store.fields(of: name) == ["ü {*}\n": Self.binary])
            try await store.removeFields(["ü {*}\n"], from: name)
            #expect(try await store.fieldCount(of: name) == 0)
            #expect(try await store.put(["a": [3]], into: name, limit: 5))
            #expect(try await store.fieldCount(of: Self.uniqueName()) == 0)
        }
    }

    @Test(arguments: StoreHome.available)
    func aFullCollectionTakesOnlyFieldsItHas(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            #expect(try await !store.put(["a": [1], "b": [1], "c": [1]], into: name, limit: 2))
            #expect(try await store.fieldCount(of: name) == 0)
            #expect(try await store.put(["a": [1], "b": [1]], into: name, limit: 2))
            #expect(try await store.put(["a": [2], "b": [2]], into: name, limit: 2))
            #expect(try await !store.put(["a": [3], "c": [3]], into: name, limit: 2))
            #expect(try await store.fields(of: name) == ["a": [2], "b": [2]])
            #expect(try await store.put(["c": [3]], into: name, limit: 3))
            try await store.removeFields(["a"], from: name)
            #expect(try await store.put(["d": [4]], into: name, limit: 3))
            #expect(try await store.fieldCount(of: name) == 3)
        }
    }

    @Test(arguments: StoreHome.available)
    func manyFieldsPassInOneCall(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            let fields = Dictionary(uniqueKeysWithValues: (0..<2_000).map { ("field \($0)", [UInt8($0 & 255)]) })
            #expect(try await store.put(fields, into: name, limit: 2_000))
            #expect(try await store.fieldCount(of: name) == 2_000)
            #expect(try await store.fields(of: name) == fields)
            let names = (0..<2_000).map { "field \($0)" }
            #expect(try await store.values(of: names, in: name) == names.map { fields[$0] })
            try await store.removeFields(names, from: name)
            #expect(try await store.fieldCount(of: name) == 0)
        }
    }

    @Test(arguments: StoreHome.available)
    func thingsOfOneNameButOtherKindsDontMeet(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let name = Self.uniqueName()
            #expect(try await store.replaceDocument(name, bytes: [1], expecting: 0))
            try await store.append([2], to: name, limit: 5)
            #expect(try await store.put(["a": [3]], into: name, limit: 5))
            let lease = try #require(await store.acquireLease(name, owner: "a", duration: Self.leaseTime))
            #expect(try await store.document(name)?.bytes == [1])
            #expect(try await store.entries(of: name, limit: 5) == [[2]])
            #expect(try await store.fields(of: name) == ["a": [3]])
            #expect(try await store.leaseHolder(name) == lease)
        }
    }
}
