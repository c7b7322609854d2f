/// Why there is no model.
package struct TrainingError: Error, Sendable {
    /// What to do about it.
    package enum Code: String, Sendable, CaseIterable {
        /// The config asks for what can't be.
        case misconfigured
        /// The events don't suffice.
        case tooFew
        /// A limit of the config would be passed.
        case tooMany
        /// The source's rows make no sense.
        case malformed
    }

    package let code: Code
    /// For people; names of the config, no values.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

extension TrainingError: CustomStringConvertible {
    package var description: String { message }
}
