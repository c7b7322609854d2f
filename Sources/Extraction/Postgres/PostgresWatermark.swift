import FeatureModel

/// How the values of a watermark column count, and how they stand in cursors: RFC 3339 in UTC, or an integer.
struct PostgresWatermark: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// `timestamptz`, `timestamp`, `date`.
        case instant
        case integer(TimeColumn.Unit)
        /// Integers that only grow; they are no times.
        case sequence

        /// - Returns: `nil` for a type that can be no watermark.
        init?(_ type: PostgresType, unit: TimeColumn.Unit?) {
            switch type.kind {
            case .time: self = .instant
            case .integer: self = unit.map(Kind.integer) ?? .sequence
            default: return nil
            }
        }
    }

    let kind: Kind
    let definition: WatermarkColumn
    /// For casts of parameters.
    let cast: String

    init?(_ definition: WatermarkColumn, type: PostgresType) {
        guard let kind = Kind(type, unit: definition.unit) else { return nil }
        self.kind = kind
        self.definition = definition
        cast = kind == .instant ? type.name : "bigint"
    }

    /// Whether values are points in time, which have an upper bound, a future and an age.
    var isTime: Bool { kind != .sequence }

    /// A cell as it stands in cursors; `nil` for what is no point in time or no integer.
    func canonical(_ cell: String) -> String? {
        switch kind {
        case .instant: Timestamps.parse(cell).map(Timestamps.format)
        case .integer, .sequence: Int64(cell).map(String.init)
        }
    }

    /// A point in time as it stands in cursors and parameters, rounded down. Sequences have none.
    func value(microseconds: Int64) -> String {
        let bounded = min(max(microseconds, Timestamps.range.lowerBound), Timestamps.range.upperBound)
        switch kind {
        case .instant: return Timestamps.format(bounded)
        case .integer(let unit):
            let quotient = bounded / unit.microseconds
            return String(bounded % unit.microseconds < 0 ? quotient - 1 : quotient)
        case .sequence: return "0"
        }
    }

    /// The lowest value that is a watermark, for times.
    var lowest: String { value(microseconds: Timestamps.range.lowerBound) }

    /// Where a run begins that follows one which ended at `end`; `nil` when `end` is no watermark of this kind.
    func start(afterEnd end: String) -> String? {
        switch kind {
        case .sequence:
            guard let value = Int64(end) else { return nil }
            let (start, isOver) = value.subtractingReportingOverflow(definition.lookbackCount)
            return String(isOver ? .min : start)
        case .instant:
            return Timestamps.parse(end).map { value(microseconds: back($0)) }
        case .integer(let unit):
            guard let value = Int64(end) else { return nil }
            let (micros, isOver) = value.multipliedReportingOverflow(by: unit.microseconds)
            return isOver ? nil : self.value(microseconds: back(micros))
        }
    }

    /// The value next to one that stands in a cursor; the value itself where there is none.
    func after(_ mark: String) -> String {
        guard kind == .instant else {
            let (next, isOver) = (Int64(mark) ?? .max).addingReportingOverflow(1)
            return isOver ? mark : String(next)
        }
        return Timestamps.parse(mark).map { value(microseconds: $0 + 1) } ?? mark
    }

    /// A cell as microseconds since 1970; `nil` for a sequence.
    func microseconds(_ cell: String) -> Int64? {
        switch kind {
        case .instant: return Timestamps.parse(cell)
        case .integer(let unit):
            let product = Int64(cell)?.multipliedReportingOverflow(by: unit.microseconds)
            return product.flatMap { $0.overflow ? nil : $0.partialValue }
        case .sequence: return nil
        }
    }

    private func back(_ microseconds: Int64) -> Int64 {
        let (start, isOver) = microseconds.subtractingReportingOverflow(definition.lookback.wholeMicroseconds)
        return isOver ? .min : start
    }
}
