/// How far a long load has come.
package struct ShopProgress: Hashable, Sendable {
    /// What is being written.
    package enum Stage: String, Sendable {
        case items
        case events
        case properties
        case indexes
        case aggregates
    }

    /// Stages come in no promised order; a load may skip some.
    package let stage: Stage
    /// Rows written in this stage.
    package let done: Int
    /// Rows this stage will write, estimated for imported files; 0 where that is not known.
    package let total: Int

    /// Receives progress on the database's thread, a few times a second at most; it must return quickly.
    package typealias Handler = @Sendable (ShopProgress) -> Void
}
