import FeatureModel
import Ranking
import Testing

@Suite(.timeLimit(.minutes(2))) struct XGBoostRankerTests {
    @Test func trainedModelPutsTheRelevantRowsFirst() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let ranker = try XGBoostRanker(fixture.folder.read("1"))
        var matrix = FeatureMatrix(rows: 3, columns: 3)
        (matrix[0, 0], matrix[1, 0], matrix[2, 0]) = (0.1, 0.95, 0.65)
        for row in 0..<3 { matrix[row, 1] = 0.5 }
        let scores = try await ranker.score(matrix, deadline: .soon)
        #expect(scores[1] > scores[2])
        #expect(scores[2] > scores[0])
    }

    @Test func sameSeedGivesTheSameModelByteForByte() throws {
        let first = try ModelFixture.train(seed: 5)
        #expect(try ModelFixture.train(seed: 5).model == first.model)
        #expect(try ModelFixture.train(seed: 6).model != first.model)
    }

    @Test func trainingKeepsTheRoundsUpToTheBest() throws {
        var parameters = BoosterParameters()
        parameters.rounds = 50
        parameters.patience = 5
        let trained = try BoosterTrainer.train(
            ModelFixture.set(groups: 20, seed: 1), validation: ModelFixture.set(groups: 5, seed: 2), parameters
        ) { round, _ in round == 4 ? 1 : 0 }
        #expect(trained.rounds == 5)
        #expect(try Booster(model: trained.model).rounds == 5)
    }

    @Test func matrixOfAnotherWidthIsRefused() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let ranker = try XGBoostRanker(fixture.folder.read("1"))
        await #expect { _ = try await ranker.score(FeatureMatrix(rows: 2, columns: 4), deadline: .soon) } throws: {
            ($0 as? RankerError)?.code == .mismatch
        }
        let torn = Self.torn
        await #expect { _ = try await ranker.score(torn, deadline: .soon) } throws: {
            ($0 as? RankerError)?.code == .mismatch
        }
    }

    private static var torn: FeatureMatrix {
        var matrix = FeatureMatrix(rows: 2, columns: 3)
        matrix.values.removeLast()
        return matrix
    }

    @Test func rowsAreScoredUpToTheLimitAndNotBeyond() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let ranker = try XGBoostRanker(fixture.folder.read("1"))
        let limit = XGBoostRanker.maximumRows
        #expect(try await ranker.score(FeatureMatrix(rows: limit, columns: 3), deadline: .soon).count == limit)
        await #expect {
            _ = try await ranker.score(FeatureMatrix(rows: limit + 1, columns: 3), deadline: .soon)
        } throws: { ($0 as? RankerError)?.code == .tooLarge }
        #expect(try await ranker.score(FeatureMatrix(rows: 0, columns: 3), deadline: .soon) == [])
    }

    @Test func manyRowsAreNotScoredWhereWaitingIsNotAThing() throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let ranker = try XGBoostRanker(fixture.folder.read("1"))
        #expect(ranker.isImmediate(rows: 100) && !ranker.isImmediate(rows: XGBoostRanker.maximumRows))
    }

    @Test func passedDeadlineIsNotScored() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let ranker = try XGBoostRanker(fixture.folder.read("1"))
        await #expect {
            _ = try await ranker.score(FeatureMatrix(rows: 1, columns: 3), deadline: .now - .seconds(1))
        } throws: { ($0 as? RankerError)?.code == .deadlineExceeded }
    }

    @Test func manyCallersGetTheScoresOfOne() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let ranker = try XGBoostRanker(fixture.folder.read("1"))
        let matrices = (0..<8).map { ModelFixture.set(groups: 10, seed: UInt64($0)).matrix(0..<100) }
        var alone: [[Float]] = []
        for matrix in matrices { alone.append(try await ranker.score(matrix, deadline: .soon)) }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for turn in 0..<200 {
                group.addTask { [alone] in
                    try await ranker.score(matrices[turn % 8], deadline: .soon) == alone[turn % 8]
                }
            }
            for try await isSame in group { #expect(isSame) }
        }
    }

    @Test func infiniteValuesDoNotStopScoring() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let ranker = try XGBoostRanker(fixture.folder.read("1"))
        var matrix = FeatureMatrix(rows: 3, columns: 3)
        (matrix[0, 0], matrix[1, 0]) = (.infinity, -.infinity)
        let scores = try await ranker.score(matrix, deadline: .soon)
        #expect(scores.count(where: \.isFinite) == 3)
    }

    @Test func openScoresBecomeTheLowest() {
        var scores: [Float] = [1, .nan, .infinity, -2]
        #expect(FiniteScores.lowerOpen(&scores) == 2)
        #expect(scores == [1, -.greatestFiniteMagnitude, -.greatestFiniteMagnitude, -2])
    }
}

@Suite struct FeatureEncodingTests {
    @Test(arguments: [
        (FeatureEncoding.number, FeatureValue.int32(3), Float(3)), (.number, .int64(3), 3),
        (.number, .float32(0.5), 0.5),
        (.number, .float64(0.5), 0.5), (.boolean, .bool(true), 1), (.boolean, .bool(false), 0),
        (.category(["view", "cart"]), .string("cart"), 1), (.category(["7", "9"]), .int64(9), 1),
        (.age(.milliseconds), .int64(90_000), 10), (.age(.seconds), .int64(40), 60),
        (.age(.microseconds), .timestamp(70_000_000), 30),
    ])
    func valueBecomesItsNumber(_ encoding: FeatureEncoding, _ value: FeatureValue, _ number: Float) {
        #expect(encoding.encode(value, now: 100_000_000) == number)
    }

    @Test(arguments: [
        (FeatureEncoding.number, FeatureValue.null), (.number, .string("3")), (.boolean, .int64(1)),
        (.category(["view"]), .string("cart")), (.category([]), .null), (.age(.seconds), .float64(1)),
        (.number, .list([.int64(1)])), (.number, .vector([1])),
    ])
    func whatDoesNotSuitIsMissing(_ encoding: FeatureEncoding, _ value: FeatureValue) {
        #expect(encoding.encode(value, now: 0).isNaN)
    }

    @Test func standardEncodingAcceptsItsType() {
        for scalar in ScalarType.allCases {
            guard let encoding = FeatureEncoding.standard(for: .scalar(scalar)) else { continue }
            #expect(encoding.accepts(.scalar(scalar)))
        }
        #expect(FeatureEncoding.standard(for: .vector(3)) == nil)
        #expect(FeatureEncoding.standard(for: .list(.int64)) == nil)
    }
}
