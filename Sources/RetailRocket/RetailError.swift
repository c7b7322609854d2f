/// Why a shop could not be made, continued or imported.
package struct RetailError: Error, Sendable {
    /// What to do about it.
    package enum Code: String, Sendable, CaseIterable {
        /// A number is outside its limits.
        case invalidSettings
        /// The output is there already; say `overwrite` to replace it.
        case exists
        /// A file or folder is missing.
        case notFound
        /// The database is not a shop that this generator made.
        case notSynthetic
        /// Simulated time would pass the real time, and rows would lie in the future.
        case future
        /// Input files hold too much that cannot be read.
        case badData
        /// Reading, writing or renaming a file failed.
        case inputOutput
    }

    /// What to do about it.
    package let code: Code
    /// Constant and groupable.
    package let message: StaticString
    /// Which setting, file and line; for people.
    package let detail: String

    /// An error of this target.
    package init(_ code: Code, _ message: StaticString, detail: String = "") {
        self.code = code
        self.message = message
        self.detail = detail
    }
}

extension RetailError: CustomStringConvertible {
    /// Message, detail and code.
    package var description: String {
        detail.isEmpty ? "\(message) [\(code.rawValue)]" : "\(message): \(detail) [\(code.rawValue)]"
    }
}
