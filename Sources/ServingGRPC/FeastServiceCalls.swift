import FeatureModel
import GRPCCore
import OnlineStore
import Serving
import ServingProtos
import SwiftProtobuf

/// `feast.serving.ServingService`.
struct FeastServiceCalls: Feast_Serving_ServingService.StreamingServiceProtocol {
    let calls: CallGuard
    let lookup: GRPCLookup
    /// What GetFeastServingInfo says.
    let version: String

    func getFeastServingInfo(
        request: StreamingServerRequest<Feast_Serving_GetFeastServingInfoRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Feast_Serving_GetFeastServingInfoResponse> {
        try await calls.unary(request, context) { [version] _, _ in .with { $0.version = version } }
    }

    func getOnlineFeatures(
        request: StreamingServerRequest<Feast_Serving_GetOnlineFeaturesRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Feast_Serving_GetOnlineFeaturesResponse> {
        try await calls.unary(request, context) { message, time in
            let imitates = lookup.settings.imitatesFeast
            let plan = try lookup.plan(try Self.selection(message))
            try Self.checkNames(plan, message)
            let keys = plan.plan.keyColumns
            let entities = try EntityColumns(keys, message.entities, context: message.requestContext)
            let answer = try await lookup.answer(
                plan, entities, time, route: context.descriptor.fullyQualifiedMethod,
                keepsStale: imitates)
            return FeastAnswer(
                answer, keys: keys.map(\.name), request: message, imitating: imitates
            ).message
        }
    }

    private static func selection(
        _ message: Feast_Serving_GetOnlineFeaturesRequest
    ) throws -> GRPCPlans.Selection {
        switch message.kind {
        case .featureService(let name): return .service(name)
        case .features(let list): return .features(list.val)
        case nil: throw RPCError.invalid("neither features nor a feature service is asked for")
        }
    }

    private static func checkNames(_ plan: GRPCPlan, _ message: Feast_Serving_GetOnlineFeaturesRequest) throws {
        let repeated = message.fullFeatureNames ? plan.fullCollisions : plan.bareCollisions
        guard repeated.isEmpty else {
            throw RPCError.invalid(
                "several features are named \(repeated.joined(separator: ", "))"
                    + (message.fullFeatureNames ? "" : "; ask for full feature names"))
        }
    }
}

/// An answer as Feast lays it out: column by column, the join keys first.
private struct FeastAnswer {
    let message: Feast_Serving_GetOnlineFeaturesResponse

    init(
        _ answer: GRPCLookup.Answer, keys: [String], request: Feast_Serving_GetOnlineFeaturesRequest, imitating: Bool
    ) {
        var message = Feast_Serving_GetOnlineFeaturesResponse()
        let names = request.fullFeatureNames ? answer.plan.fullNames : answer.plan.bareNames
        message.metadata.featureNames.val = keys + names
        if request.includeFeatureViewVersionMetadata {
            message.metadata.featureViewMetadata = answer.plan.plan.views.map { view in
                .with {
                    $0.name = view
                    $0.version = Int32(clamping: answer.plan.versions[view] ?? 0)
                }
            }
        }
        message.results.reserveCapacity(keys.count + names.count)
        for key in keys {
            let values = (request.entities[key] ?? request.requestContext[key])?.val ?? []
            message.results.append(Self.keyColumn(values))
        }
        for column in names.indices {
            message.results.append(Self.column(column, answer, imitating: imitating))
        }
        self.message = message
    }

    private static func keyColumn(
        _ values: [Feast_Types_Value]
    ) -> Feast_Serving_GetOnlineFeaturesResponse.FeatureVector {
        .with {
            $0.values = values
            $0.statuses = Array(repeating: .present, count: values.count)
            $0.eventTimestamps = Array(repeating: Google_Protobuf_Timestamp(), count: values.count)
        }
    }

    private static func column(
        _ column: Int, _ answer: GRPCLookup.Answer, imitating: Bool
    ) -> Feast_Serving_GetOnlineFeaturesResponse.FeatureVector {
        let type = answer.plan.types[column]
        return .with { vector in
            let readings = (0..<answer.values.count).map { answer.values.value(column, at: $0) }
            vector.values = readings.map { Feast_Types_Value($0.value, type) }
            vector.statuses = readings.map { Feast_Serving_FieldStatus($0.status, imitating: imitating) }
            vector.eventTimestamps = readings.map { reading in
                guard let age = reading.age else { return Google_Protobuf_Timestamp() }
                return Google_Protobuf_Timestamp(microseconds: answer.now.subtracting(age))
            }
        }
    }
}

extension Int64 {
    /// The instant that was `age` before this one, both in microseconds; the nearest there is where that overflows.
    fileprivate func subtracting(_ age: Duration) -> Int64 {
        let (seconds, attoseconds) = age.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, tooLong) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        let (instant, outside) = subtractingReportingOverflow(sum)
        return overflow || tooLong || outside ? (seconds < 0 ? .max : .min) : instant
    }
}
