package import NIOCore

/// The body of a lookup, checked to be JSON and taken apart; ranges are in its readable bytes.
///
/// What it asks for stays raw: these bytes are the key under which plans are kept. Its entities are read by `EntityReader`
/// once the plan has told the types of their keys.
package struct LookupRequestBody: Sendable, Hashable {
    /// The list of features as it stands in the body, or the name of a service with its quotes.
    package let selection: Range<Int>
    /// Whether `selection` names a service.
    package let isService: Bool
    /// The entities as they stand in the body.
    package let entities: Range<Int>
    /// Whether the ages of values are asked for. Only ours.
    package var ages = false
    /// Whether features are to be named `view__feature`. Only Feast's.
    package var fullFeatureNames = false
    /// Whether the versions of views are asked for. Only Feast's.
    package var versionMetadata = false

    /// The bytes that tell what is asked for: the same bytes, the same plan.
    package func planKey(_ body: ByteBuffer) -> ByteBufferView? {
        body.viewBytes(at: body.readerIndex + selection.lowerBound, length: selection.count)
    }
}
