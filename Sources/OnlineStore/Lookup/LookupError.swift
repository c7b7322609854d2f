/// A request that can't be answered as it is.
package struct LookupError: Error, Sendable, CustomStringConvertible {
    /// What is wrong with it, and so how it is answered.
    package enum Code: Sendable, CaseIterable {
        /// A view or feature that there is not.
        case unknownFeature
        /// Two features whose bare names are the same.
        case nameCollision
        /// A key that is missing, of another type or too long, or no feature asked for.
        case wrongRequest
        /// It asks for more values, or for a longer answer, than one request may.
        case tooLarge
    }

    package let code: Code
    /// For the one who asked: names of the schema and indexes, no values.
    package let description: String

    package init(_ description: String, code: Code = .wrongRequest) {
        self.code = code
        self.description = description
    }
}
