import FeatureModel
import HTTPTypes

/// A change that somebody asked for: its body and where it goes.
struct AdminChangeRequest: Sendable {
    let context: AdminContext
    /// What an attempt before set out to do.
    var aimed: [UInt8]?
    /// Writes down what this one sets out to do.
    var keep: @Sendable ([UInt8]) async throws -> Void = { _ in }
    private let members: [String: DocumentValue]

    /// - Throws: 400 for a body that is no JSON object. No body is an empty one.
    init(_ body: [UInt8], _ context: AdminContext) throws(AdminProblem) {
        self.context = context
        if body.allSatisfy({ [0x20, 0x09, 0x0a, 0x0d].contains($0) }) {
            members = [:]
        } else if case .mapping(let members) = AdminJSON.decode(body) {
            self.members = members
        } else {
            throw AdminProblem(.badRequest, "Bad request", "the body must be a JSON object")
        }
    }

    /// Refuses members that the route doesn't know, so that a misspelt condition is never passed over.
    func allow(_ names: Set<String>) throws(AdminProblem) {
        for name in members.keys.sorted() where !names.contains(name) {
            let known = names.isEmpty ? "nothing" : names.sorted().joined(separator: ", ")
            throw AdminProblem(
                .badRequest, "Bad request", "the body has a member that this route doesn't know; it knows: \(known)")
        }
    }

    /// A positive whole number; `nil` where there is none.
    func number(_ name: String) throws(AdminProblem) -> Int? {
        switch members[name] {
        case nil, .null?: return nil
        case .integer(let number)? where (1...1_000_000_000).contains(number): return Int(number)
        default: throw AdminProblem(.badRequest, "Bad request", "\(name) must be a whole number from 1 on")
        }
    }

    /// A text; `nil` where there is none.
    func text(_ name: String) throws(AdminProblem) -> String? {
        switch members[name] {
        case nil, .null?: return nil
        case .text(let text)?: return text
        default: throw AdminProblem(.badRequest, "Bad request", "\(name) must be a text")
        }
    }

    /// What the change sets out to do: `find` says it once for each key, and what it said is kept before anything is changed. An
    /// attempt that comes after one nobody knows the end of gets what that one set out to do.
    func aim(_ find: () async throws -> AdminAim) async throws -> AdminAim {
        if let aimed = aimed.flatMap(AdminAim.init) { return aimed }
        let aim = try await find()
        try await keep(aim.bytes)
        return aim
    }

    /// What a required member lacks.
    func missing(_ name: String) -> AdminProblem {
        AdminProblem(.badRequest, "Bad request", "the body must have \(name)")
    }
}

/// From where to where a change goes that would go elsewhere if it were made twice: the words of versions.
struct AdminAim: Sendable, Equatable {
    /// `nil` where there was none.
    let before: String?
    let after: String

    init(before: String?, after: String) {
        self.before = before
        self.after = after
    }

    init?(_ bytes: [UInt8]) {
        guard case .mapping(let members) = AdminJSON.decode(bytes), case .text(let after)? = members["after"] else {
            return nil
        }
        self.after = after
        if case .text(let before)? = members["before"] { self.before = before } else { before = nil }
    }

    var bytes: [UInt8] {
        AdminJSON.encode(["before": .optional(before), "after": .text(after)])
    }
}
