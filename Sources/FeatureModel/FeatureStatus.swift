/// The honest word on one value of an answer. The raw value is the spelling on the wire.
package enum FeatureStatus: String, Sendable, CaseIterable {
    /// The source stated this value and it is young enough.
    case present = "PRESENT"
    /// The source stated `null`.
    case nullValue = "NULL_VALUE"
    /// The store holds no row for the entity.
    case notFound = "NOT_FOUND"
    /// The row is older than the view's `max_age`.
    case outsideMaxAge = "OUTSIDE_MAX_AGE"
    /// No usable value was stored; the definition's default stands in.
    case defaulted = "DEFAULTED"
    /// The store could not be asked, or its row could not be read.
    case failed = "FAILED"
}
