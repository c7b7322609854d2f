#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A view with its entity as bytes, so that a version can still be synced when its definition has changed.
///
/// JSON, with its keys sorted; what definitions can say survives exactly, fingerprints too. A new `format` is refused by
/// older readers.
package enum ViewDocument {
    /// Why bytes are no view.
    package struct DecodingFailure: Error, CustomStringConvertible {
        /// What is wrong, and where.
        package let description: String
    }

    /// The largest document accepted, in bytes.
    package static let maximumBytes = 8 << 20

    static let format = 1

    /// Encodes a view. Equal views have equal bytes.
    package static func encode(_ view: FeatureView) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // A non-finite number is all that could fail; definitions hold none, and this spells it anyway.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        guard let data = try? encoder.encode(StoredView(view)) else { preconditionFailure("plain values are JSON") }
        return [UInt8](data)
    }

    /// Decodes a view.
    ///
    /// - Throws: For bytes that `encode` didn't make, and for another format.
    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> FeatureView {
        guard bytes.count <= maximumBytes else {
            throw DecodingFailure(description: "a view document of \(bytes.count) bytes is above \(maximumBytes)")
        }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let stored: StoredView
        do {
            stored = try decoder.decode(StoredView.self, from: Data(bytes))
        } catch {
            throw DecodingFailure(description: "not a view document: \(Self.reason(error))")
        }
        guard stored.format == format else {
            throw DecodingFailure(
                description: "a view document of format \(stored.format); this release knows \(format)")
        }
        return try stored.view()
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "unreadable" }
        let context: DecodingError.Context
        switch error {
        case .typeMismatch(_, let found), .valueNotFound(_, let found), .keyNotFound(_, let found),
            .dataCorrupted(let found):
            context = found
        @unknown default: return "unreadable"
        }
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return path.isEmpty ? "no JSON of the right form" : "wrong or missing at \(path)"
    }
}
