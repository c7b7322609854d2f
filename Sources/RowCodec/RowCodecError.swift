/// Why a row could not be packed or unpacked.
package struct RowCodecError: Error, Sendable, Equatable {
    /// What is wrong with the bytes or values.
    package enum Code: String, Sendable, CaseIterable {
        /// The bytes end before the row does.
        case truncated
        /// Not a packed row, or one of a format or with flags that this version does not know.
        case unknownFormat
        /// A row of another schema.
        case wrongSchema
        /// The check does not fit: damaged bytes, another entity's row, or another schema with the same short id.
        case checkFailed
        /// The check fits but the bytes don't mean anything: written by a faulty encoder.
        case malformed
        /// The row exceeds `RowFormat.maximumRowBytes` or `RowFormat.maximumPayloadBytes`.
        case tooLarge
        /// Only when packing: a value is not of its feature's type, or there are too few or too many.
        case wrongValue
    }

    /// What is wrong, and so what to do about it.
    package let code: Code
    /// Constant and groupable, without user data.
    package let message: StaticString

    package init(_ code: Code, _ message: StaticString) {
        self.code = code
        self.message = message
    }

    /// Errors are equal by their code.
    package static func == (left: RowCodecError, right: RowCodecError) -> Bool {
        left.code == right.code
    }
}

extension RowCodecError: CustomStringConvertible {
    package var description: String { "\(message) [\(code.rawValue)]" }
}
