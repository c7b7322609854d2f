import FeatureModel
import Testing
import TidemarkTesting

@testable import Recall

/// Vectors: the least-squares step against its own equations, neighbours against plain cosines, and what comes of both.
@Suite(.timeLimit(.minutes(5)))
struct VectorListTests {
    private func matrix(_ random: inout SeededGenerator, rows: Int, columns: Int) -> SparseRows {
        var matrix = SparseRows()
        for _ in 0..<rows {
            for column in 0..<columns where random.chance(0.3) {
                matrix.columns.append(UInt32(column))
                matrix.values.append(Float(1 + random.below(4)))
            }
            matrix.starts.append(matrix.columns.count)
        }
        return matrix
    }

    /// The solution x of a row must satisfy (YᵀC Y + λ) x = Yᵀ C p, written out over all columns.
    @Test(arguments: SeededGenerator.seeds(10))
    func aStepSolvesItsEquations(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var config = VectorConfig()
        config.dimension = 2 + random.below(7)
        config.confidence = 1 + random.fraction() * 20
        config.regularization = 0.01 + random.fraction()
        let d = config.dimension
        let (rows, columns) = (1 + random.below(10), 1 + random.below(20))
        let matrix = matrix(&random, rows: rows, columns: columns)
        let fixed = (0..<columns * d).map { _ in Float(random.fraction() - 0.5) }
        var solved = [Float](repeating: 0, count: rows * d)
        try Factorization(config).solve(matrix, against: fixed, into: &solved)
        for row in 0..<rows {
            var confidence = [Double](repeating: 1, count: columns)
            var wanted = [Double](repeating: 0, count: columns)
            for place in matrix.starts[row]..<matrix.starts[row + 1] {
                confidence[Int(matrix.columns[place])] += config.confidence * Double(matrix.values[place])
                wanted[Int(matrix.columns[place])] = 1
            }
            for k in 0..<d {
                var residual = config.regularization * Double(solved[row * d + k])
                for column in 0..<columns {
                    let product = (0..<d).reduce(0.0) {
                        $0 + Double(fixed[column * d + $1]) * Double(solved[row * d + $1])
                    }
                    residual += confidence[column] * (product - wanted[column]) * Double(fixed[column * d + k])
                }
                #expect(abs(residual) < 1e-2, "seed \(seed), row \(row)")
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(10))
    func neighboursAreThoseWithTheHighestCosine(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let (count, d, limit) = (1 + random.below(600), 1 + random.below(20), 1 + random.below(12))
        var vectors = (0..<count * d).map { _ in Float(random.fraction() - 0.5) * 3 }
        // One that points nowhere.
        for index in 0..<d { vectors[index] = 0 }
        func cosine(_ a: Int, _ b: Int) -> Double {
            var (dot, x, y) = (0.0, 0.0, 0.0)
            for k in 0..<d {
                let (p, q) = (Double(vectors[a * d + k]), Double(vectors[b * d + k]))
                (dot, x, y) = (dot + p * q, x + p * p, y + q * q)
            }
            return x > 0 && y > 0 ? dot / (x * y).squareRoot() : 0
        }
        var seen = 0
        try NearestItems(vectors, dimension: d).each(limit: limit) { item, nearest in
            #expect(item == seen)
            seen += 1
            guard item % 37 == 0 else { return }
            let cosines = (0..<count).filter { $0 != item }.map { cosine(item, $0) }.filter { $0 > 1e-6 }
            let expected = cosines.sorted(by: >).prefix(limit)
            #expect(nearest.count == expected.count, "seed \(seed), item \(item)")
            for (one, best) in zip(nearest, expected) {
                #expect(abs(Double(one.score) - best) < 1e-4)
                #expect(abs(cosine(item, Int(one.item)) - best) < 1e-4)
            }
        }
        #expect(seen == count)
    }

    @Test func itemsOfTheSameUsersAreNear() async throws {
        var random = SeededGenerator(seed: 7)
        let shop = try await Shop(textKeys: true)
        // Two kinds of users, each with ten items of its own, and now and then one of the other's.
        var events: [Happening] = []
        for user in 0..<80 {
            let home = Int64(user % 2) * 10
            for _ in 0..<8 {
                let item = random.chance(0.05) ? (home + 10) % 20 : home
                events.append(
                    Happening(
                        user: Int64(user), item: item + Int64(random.below(10)), time: 1_000 + Int64(events.count)))
            }
        }
        try await shop.add(events)
        let config = shop.list(.vectors) { list in
            list.vectors.dimension = 3
            list.halfLife = .seconds(86_400)
        }
        let list = try await shop.make(RecallListConfig(config, size: 5))
        #expect(list.itemCount == 20)
        for item in 0..<20 {
            let near = list.neighbours(of: [shop.key(Int64(item))], limit: 5)
            #expect(near.count == 5)
            for other in near {
                guard case .text(let text) = other.id, let number = Int(text.dropFirst(3)) else {
                    Issue.record("another id")
                    continue
                }
                #expect(number / 10 == item / 10, "item \(item) is near to \(number)")
            }
        }
        // The same events give the same list.
        let again = try await shop.make(RecallListConfig(config, size: 5))
        #expect(again.neighbours(of: [shop.key(3)], limit: 5) == list.neighbours(of: [shop.key(3)], limit: 5))
    }

    @Test func moreItemsThanAreComparedEndTheBuildBeforeItCompares() async throws {
        let shop = try await Shop()
        try await shop.add((0..<40).map { Happening(user: $0 % 5, item: $0 % 20, time: 1_000 + $0) })
        for kind in [RecallKind.vectors, .coOccurrence] {
            for (most, fits) in [(20, true), (19, kind == .coOccurrence)] {
                let list = shop.list(kind) { list in
                    list.vectors.dimension = 2
                    list.vectors.maximumItems = most
                }
                if fits {
                    #expect(try await shop.make(list).itemCount == 20)
                } else {
                    await #expect { _ = try await shop.make(list) } throws: {
                        let error = $0 as? RecallError
                        return error?.code == .tooLarge && error?.detail.contains("vectors.max_items = 19") == true
                    }
                }
            }
        }
    }

    @Test func vectorsOfAColumnAreTakenAsTheyAre() async throws {
        let shop = try await Shop()
        try await shop.run(
            """
            CREATE TABLE embeddings (item_id INTEGER, v TEXT);
            INSERT INTO embeddings VALUES (1, '[1, 0]'), (2, '[10, 1]'), (3, '[0, 1]'), (4, '[-1, 0]'), (5, '[1]');
            """)
        var config = RecallListConfig(
            name: "list", kind: .vectors, from: "shop", query: "SELECT item_id, v FROM embeddings", item: "item")
        config.vectors.column = "v"
        config.vectors.dimension = 2
        let list = try await shop.make(config)
        #expect(list.neighbours(of: [.integer(1)], limit: 9).map(\.id) == [.integer(2)])
        #expect(list.neighbours(of: [.integer(2)], limit: 9).map(\.id) == [.integer(1), .integer(3)])
        #expect(list.manifest.counts.faults == 1)
    }
}
