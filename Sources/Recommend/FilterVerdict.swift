import FeatureModel
import OnlineStore

/// What filters say of an item.
enum FilterVerdict {
    /// Tests the features of an item by one filter. Of a policy, what is not there does not pass; of another filter, it does.
    ///
    /// - Returns: `nil` when the store did not tell.
    static func passes(
        _ reference: FeatureReference, _ test: FilterTest, isPolicy: Bool, _ rows: ItemRows, _ id: EntityKeyValue
    ) -> Bool? {
        guard let reading = rows.reading(reference, of: id) else { return nil }
        switch reading.status {
        case .present, .defaulted: return test.accepts(reading.value)
        case .nullValue, .notFound, .outsideMaxAge: return !isPolicy
        case .failed: return nil
        }
    }

    /// Whether an item passes all policy by features; `nil` when the store did not tell.
    static func policy(_ filters: [FilterConfig], _ rows: ItemRows, _ id: EntityKeyValue) -> Bool? {
        var isKnown = true
        for filter in filters where filter.isPolicy {
            guard case .feature(let reference, let test) = filter.rule else { continue }
            switch passes(reference, test, isPolicy: true, rows, id) {
            case false?: return false
            case nil: isKnown = false
            case true?: break
            }
        }
        return isKnown ? true : nil
    }
}
