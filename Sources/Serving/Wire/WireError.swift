/// Why a request can't be answered as it was sent, and where in it.
///
/// It knows nothing of routes: `ErrorBody` words it for ours and for Feast's.
package struct WireError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    package enum Code: Sendable, Hashable {
        /// The body is not one JSON value.
        case invalidJSON
        case bodyTooLarge
        /// More entities, rows or features than allowed.
        case limitExceeded
        /// A value that must be there is not, or is of another kind than it must be.
        case shape(Shape)
        /// A field that the route doesn't know.
        case unknownField
        /// A name in the list of features that isn't `view:feature`.
        case invalidFeature
        /// A feature of a version that is named.
        case versionedFeature
        case noFeatures
        /// Columns of different lengths.
        case unequalColumns
        /// An entity without one of its keys.
        case missingKey
        /// A key that is null, or of another type than the entity's.
        case invalidKey
        /// A value to write that is not of its feature's type.
        case invalidValue
        /// A column to write that is missing or belongs to nothing.
        case columns
        /// A header that can't be read.
        case invalidTimeout
    }

    /// How a value fails to fit. The raw values are pydantic's, which Feast's server sends.
    package enum Shape: String, Sendable, Hashable {
        case missing
        case object = "dict_type"
        case model = "model_attributes_type"
        case list = "list_type"
        case string = "string_type"
        case boolean = "bool_type"
    }

    /// One step from the body to a value in it.
    package enum Step: Sendable, Hashable {
        case field(String)
        case element(Int)
    }

    package let code: Code
    /// A sentence without a full stop.
    package let detail: String
    /// From the body to what is wrong; empty for the body itself.
    package var path: [Step]
    /// Where in the body it was noticed, in bytes.
    package var offset: Int
    /// Where the wrong value lies in the body, if there is one.
    package var input: Range<Int>?

    /// Names of the request that stand in `detail` and `path` are cut where they are long: an error has no more to carry than who sent
    /// it must read.
    package init(_ code: Code, _ detail: String, path: [Step] = [], offset: Int = 0, input: Range<Int>? = nil) {
        self.code = code
        self.detail = Self.shortened(detail, to: 2_048)
        self.path = path.map { step in
            guard case .field(let name) = step else { return step }
            return .field(Self.shortened(name, to: 256))
        }
        self.offset = offset
        self.input = input
    }

    private static func shortened(_ text: String, to limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        return String(decoding: text.utf8.prefix(limit), as: UTF8.self) + "…"
    }

    package var description: String { path.isEmpty ? detail : "\(pointer): \(detail)" }

    /// The path as a JSON pointer (RFC 6901).
    package var pointer: String {
        path.map { step in
            switch step {
            case .element(let index): return "/\(index)"
            case .field(let name):
                guard name.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else {
                    return "/\(name)"
                }
                return name.reduce(into: "/") { text, character in
                    switch character {
                    case "~": text += "~0"
                    case "/": text += "~1"
                    default: text.append(character)
                    }
                }
            }
        }.joined()
    }
}
