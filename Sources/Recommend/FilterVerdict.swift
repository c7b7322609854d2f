import FeatureModel
import OnlineStore

/// What filters by features say of items, with where they find their values in some rows.
struct FilterVerdict {
    private struct Rule {
        let name: String
        /// `nil` for a feature that was not read.
        let column: Int?
        let test: FilterTest
        let isPolicy: Bool
    }

    private let rows: ItemRows
    private let policies: [Rule]
    private let others: [Rule]

    init(_ filters: [FilterConfig], _ rows: ItemRows) {
        self.rows = rows
        let rules = filters.compactMap { filter -> Rule? in
            guard case .feature(let reference, let test) = filter.rule else { return nil }
            return Rule(name: filter.name, column: rows.column(reference), test: test, isPolicy: filter.isPolicy)
        }
        policies = rules.filter(\.isPolicy)
        others = rules.filter { !$0.isPolicy }
    }

    /// Tests the features of an item by one filter. Of a policy, what is not there does not pass; of another filter, it does.
    ///
    /// - Returns: `nil` when the store did not tell.
    private func passes(_ rule: Rule, _ row: Int) -> Bool? {
        guard let column = rule.column else { return nil }
        let reading = rows.reading(column, at: row)
        switch reading.status {
        case .present, .defaulted: return rule.test.accepts(reading.value)
        case .nullValue, .notFound, .outsideMaxAge: return !rule.isPolicy
        case .failed: return nil
        }
    }

    /// Whether an item passes all policy by features; `nil` when the store did not tell.
    func policy(_ row: Int) -> Bool? {
        var isKnown = true
        for rule in policies {
            switch passes(rule, row) {
            case false?: return false
            case nil: isKnown = false
            case true?: break
            }
        }
        return isKnown ? true : nil
    }

    /// The first policy that an item doesn't pass, or that could not be told; `nil` when it passes all.
    func failedPolicy(_ row: Int) -> String? {
        policies.first { passes($0, row) != true }?.name
    }

    /// The filter that is no policy and by which an item leaves; `nil` when it stays.
    func refusing(_ row: Int) -> String? {
        others.first { passes($0, row) == false }?.name
    }
}
