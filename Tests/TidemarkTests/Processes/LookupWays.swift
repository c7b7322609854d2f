import FeatureModel
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import ServingProtos
import SwiftProtobuf
import Testing
import TidemarkTesting

/// The ways to look features up in a daemon, each answer held against the truth. What differs is collected in words.
struct LookupWays: Sendable {
    typealias Question = LookupTruth.Question
    private static let pipelined = 50

    let truth: LookupTruth
    let port: Int

    // MARK: HTTP

    /// Over `/v1/lookup`. How many values were compared.
    func ours(_ questions: [Question], _ differences: inout [String]) async throws -> Int {
        try await http("/v1/lookup", questions, { Self.body($0) }) { question, body throws in
            try compare(question, ours: body, &differences)
        }
    }

    /// Over Feast's route.
    func feasts(_ questions: [Question], _ differences: inout [String]) async throws -> Int {
        try await http("/get-online-features", questions, { Self.feastBody($0) }) { question, body throws in
            try compare(question, feasts: body, &differences)
        }
    }

    private func http(
        _ path: String, _ questions: [Question], _ body: (Question) -> String,
        _ compare: (Question, String) throws -> Int
    ) async throws -> Int {
        let client = try RawClient(port: port)
        var values = 0
        for start in stride(from: 0, to: questions.count, by: Self.pipelined) {
            let part = questions[start..<min(start + Self.pipelined, questions.count)]
            try await client.send(part.map { RawClient.request("POST", path, body($0)) }.joined())
            for question in part {
                let answer = try await client.receive()
                try #require(answer.status == 200, "\(path) \(body(question)): \(answer)")
                values += try compare(question, answer.body)
            }
        }
        return values
    }

    private static func body(_ question: Question) -> String {
        let features = question.features.map { "\"\($0.view):\($0.feature)\"" }.joined(separator: ",")
        let rows = question.entities.map { "{\"\(question.key.name)\":\(json($0))}" }.joined(separator: ",")
        return "{\"features\":[\(features)],\"entities\":[\(rows)]}"
    }

    private static func feastBody(_ question: Question) -> String {
        let features = question.features.map { "\"\($0.view):\($0.feature)\"" }.joined(separator: ",")
        let column = question.entities.map(json).joined(separator: ",")
        return
            "{\"features\":[\(features)],\"entities\":{\"\(question.key.name)\":[\(column)]},\"full_feature_names\":true}"
    }

    private static func json(_ value: EntityKeyValue) -> String {
        switch value {
        case .integer(let number): "\(number)"
        case .text(let text): "\"\(text)\""
        case .bytes(let bytes): "\"\(Data(bytes).base64EncodedString())\""
        }
    }

    // MARK: The command

    /// Through `tidemark lookup --json`, which prints the body of `/v1/lookup`.
    func command(_ question: Question, _ output: String, _ differences: inout [String]) throws -> Int {
        try compare(question, ours: output, &differences)
    }

    /// What the command is called with.
    static func arguments(_ question: Question) -> [String] {
        let values = question.entities.map { value in
            switch value {
            case .integer(let number): "\(number)"
            case .text(let text): text.split(separator: ",", omittingEmptySubsequences: false).joined(separator: "\\,")
            case .bytes: ""
            }
        }
        return [
            "lookup", "--json", "--features",
            question.features.map { "\($0.view):\($0.feature)" }.joined(separator: ","),
            "--entity", "\(question.key.name)=\(values.joined(separator: ","))",
        ]
    }

    // MARK: gRPC

    /// Over Feast's gRPC service.
    func grpc(_ questions: [Question], port: Int) async throws -> (values: Int, differences: [String]) {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
        return try await withGRPCClient(transport: transport) { client in
            let service = Feast_Serving_ServingService.Client(wrapping: client)
            return try await withThrowingTaskGroup(of: (Int, [String]).self) { tasks in
                let share = (questions.count + 15) / 16
                for start in stride(from: 0, to: questions.count, by: share) {
                    let part = questions[start..<min(start + share, questions.count)]
                    tasks.addTask {
                        var (values, differences) = (0, [String]())
                        for question in part {
                            let answer = try await service.getOnlineFeatures(Self.message(question))
                            values += try compare(question, answer, &differences)
                        }
                        return (values, differences)
                    }
                }
                return try await tasks.reduce(into: (0, [String]())) { sum, part in
                    sum.0 += part.0
                    sum.1 += part.1
                }
            }
        }
    }

    private static func message(_ question: Question) -> Feast_Serving_GetOnlineFeaturesRequest {
        .with {
            $0.features.val = question.features.map { "\($0.view):\($0.feature)" }
            $0.fullFeatureNames = true
            $0.entities[question.key.name] = .with {
                $0.val = question.entities.map { entity in
                    .with { value in
                        switch entity {
                        case .integer(let number): value.int64Val = number
                        case .text(let text): value.stringVal = text
                        case .bytes(let bytes): value.bytesVal = Data(bytes)
                        }
                    }
                }
            }
        }
    }

    // MARK: Comparing

    private func compare(_ question: Question, ours body: String, _ differences: inout [String]) throws -> Int {
        let answer = try Self.object(body)
        let rows = try #require(answer["rows"] as? [[String: Any]], "\(body)")
        try #require(answer["features"] as? [String] == question.features.map { "\($0.view):\($0.feature)" })
        try #require(rows.count == question.entities.count && answer["degraded"] == nil, "\(body)")
        for (entity, row) in zip(question.entities, rows) {
            let values = try #require(row["values"] as? [Any])
            let statuses = row["statuses"] as? [String] ?? question.features.map { _ in "PRESENT" }
            for (place, feature) in question.features.enumerated() {
                let expected = try truth.expected(feature, entity)
                if statuses[place] != expected.status.rawValue || !Self.isSame(values[place], expected.value) {
                    differences.append("\(feature) of \(entity): \(values[place]) \(statuses[place]), not \(expected)")
                }
            }
        }
        return rows.count * question.features.count
    }

    private func compare(_ question: Question, feasts body: String, _ differences: inout [String]) throws -> Int {
        let answer = try Self.object(body)
        let results = try #require(answer["results"] as? [[String: Any]], "\(body)")
        let names = (answer["metadata"] as? [String: Any])?["feature_names"] as? [String]
        try #require(names == [question.key.name] + question.features.map { "\($0.view)__\($0.feature)" }, "\(body)")
        for (place, feature) in question.features.enumerated() {
            let values = try #require(results[place + 1]["values"] as? [Any])
            let statuses = try #require(results[place + 1]["statuses"] as? [String])
            try #require(values.count == question.entities.count)
            for (index, entity) in question.entities.enumerated() {
                let expected = try truth.expected(feature, entity)
                // Feast knows no defaults: to it such a value is there.
                let status = expected.status == .defaulted ? FeatureStatus.present : expected.status
                if statuses[index] != status.rawValue || !Self.isSame(values[index], expected.value) {
                    differences.append("\(feature) of \(entity): \(values[index]) \(statuses[index]), not \(expected)")
                }
            }
        }
        return question.features.count * question.entities.count
    }

    private func compare(
        _ question: Question, _ answer: Feast_Serving_GetOnlineFeaturesResponse, _ differences: inout [String]
    ) throws -> Int {
        try #require(answer.results.count == question.features.count + 1)
        for (place, feature) in question.features.enumerated() {
            let result = answer.results[place + 1]
            try #require(result.values.count == question.entities.count)
            for (index, entity) in question.entities.enumerated() {
                let expected = try truth.expected(feature, entity)
                let status: Feast_Serving_FieldStatus =
                    switch expected.status {
                    case .present, .defaulted: .present
                    case .nullValue: .nullValue
                    case .notFound: .notFound
                    case .outsideMaxAge: .outsideMaxAge
                    case .failed: .invalid
                    }
                if result.statuses[index] != status || Self.value(result.values[index]) != expected.value {
                    differences.append("\(feature) of \(entity): \(result.values[index]), not \(expected)")
                }
            }
        }
        return question.features.count * question.entities.count
    }

    private static func object(_ body: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any], "\(body)")
    }

    /// By the value's own type: what a parser of JSON made of it.
    private static func isSame(_ json: Any, _ value: FeatureValue) -> Bool {
        switch value {
        case .null: json is NSNull
        case .bool(let flag): json as? Bool == flag
        case .int64(let number): (json as? NSNumber)?.int64Value == number && !(json is String)
        case .float64(let number): (json as? NSNumber)?.doubleValue == number
        case .string(let text): json as? String == text
        case .list(let elements):
            (json as? [Any]).map { $0.count == elements.count && zip($0, elements).allSatisfy { isSame($0, $1) } }
                ?? false
        default: false
        }
    }

    private static func value(_ message: Feast_Types_Value) -> FeatureValue? {
        switch message.val {
        case nil: .null
        case .boolVal(let flag): .bool(flag)
        case .int64Val(let number): .int64(number)
        case .doubleVal(let number): .float64(number)
        case .stringVal(let text): .string(text)
        case .int64ListVal(let list): .list(list.val.map { .int64($0) })
        case .stringListVal(let list): .list(list.val.map { .string($0) })
        default: nil
        }
    }
}
