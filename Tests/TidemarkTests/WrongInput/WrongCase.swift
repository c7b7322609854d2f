import Testing

/// One thing that can be wrong around a project that works, and what has to come of it.
struct WrongCase: Sendable, CustomTestStringConvertible {
    typealias Step = @Sendable (Lab) async throws -> Void

    let name: String
    /// Run while it is wrong.
    var arguments = ["sync", "--once"]
    /// 1 failed, 2 wrong usage or config, 3 something differs.
    let code: Int32
    /// What standard error has to hold: what, where, what to do.
    let words: [String]
    var environment: [String: String] = [:]
    /// Run instead of `tidemark` itself, with its path and arguments behind.
    var prefix: [String] = []
    var spoil: Step = { _ in }
    var mend: Step = { _ in }

    var testDescription: String { name }
}
