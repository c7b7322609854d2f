/// Why a recall list could not be built, kept or loaded.
package struct RecallError: Error, Sendable {
    /// What to do about it.
    package enum Code: String, Sendable, CaseIterable {
        /// No list, or no version, of that name: build it.
        case missing
        /// The artifact is not what its manifest says: build the list anew.
        case damaged
        /// The artifact is of another format, kind or list: build the list anew.
        case incompatible
        /// A limit of the config was exceeded.
        case tooLarge
        /// Another build of the list is under way.
        case busy
        /// The folder of the artifacts can't be read or written.
        case unavailable
        /// The source has no events that a list could be made of; the version before stays.
        case empty
        /// The config asks for what can't be: an entity that isn't there, rows that are not what it says.
        case misconfigured
    }

    package let code: Code
    /// Constant and groupable, without user data.
    package let message: StaticString
    /// List, path, expected, found, and what to do; for people.
    package let detail: String

    package init(_ code: Code, _ message: StaticString, detail: String = "") {
        self.code = code
        self.message = message
        self.detail = detail
    }
}

extension RecallError: CustomStringConvertible {
    package var description: String {
        detail.isEmpty ? "\(message) [\(code.rawValue)]" : "\(message): \(detail) [\(code.rawValue)]"
    }
}
