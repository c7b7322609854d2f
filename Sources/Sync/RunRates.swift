import FeatureModel

/// The rates of one run against a view's contract.
struct RunRates {
    private let view: FeatureView
    private var rows: Int64 = 0
    private var quarantined: Int64 = 0
    private var nulls: [Int: Int64] = [:]

    /// Below this many bad rows a rate says nothing, and one bad row never stops good ones.
    static let minimumBad: Int64 = 10
    /// Below this many rows a null rate says nothing.
    static let minimumRows: Int64 = 100

    init(_ view: FeatureView) {
        self.view = view
    }

    mutating func add(rows: Int, quarantined: Int) {
        self.rows += Int64(rows)
        self.quarantined += Int64(quarantined)
    }

    mutating func addNulls(_ count: Int, of feature: Int) {
        nulls[feature, default: 0] += Int64(count)
    }

    /// What is in breach so far, in words with the arithmetic; `nil` for nothing.
    var breach: String? {
        let total = rows + quarantined
        let bound = view.contract.maximumQuarantineRate
        if quarantined >= Self.minimumBad, Double(quarantined) > bound * Double(total) {
            return "\(quarantined) of \(total) rows are bad, more than max_quarantine_rate \(bound)"
        }
        guard rows >= Self.minimumRows else { return nil }
        for (index, count) in nulls.sorted(by: { $0.key < $1.key }) {
            let feature = view.features[index]
            if let bound = feature.contract.maximumNullRate, Double(count) > bound * Double(rows) {
                return "\(feature.name) is null in \(count) of \(rows) rows, more than max_null_rate \(bound)"
            }
        }
        return nil
    }
}
