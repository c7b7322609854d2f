import FeatureModel

/// Why an operator's change of a view was not made. The words say what to do.
package enum OperatorError: Error, Sendable {
    /// Nothing is applied to the store.
    case notApplied(project: String)
    /// The applied catalog has no such view.
    case unknownView(String, known: [String])
    case unknownVersion(view: String, number: Int, known: [Int])
    /// Only a built version or the previous one can be read.
    case notReadable(view: String, number: Int, state: ViewVersions.State)
    case noPrevious(view: String)
    /// Another version is read than the caller expected.
    case otherCurrent(view: String, expected: Int, found: Int?)
    case notPaused(view: String)
    case leaseHeld(view: String, owner: String)
    /// No version of the view has been synced yet.
    case noMarker(view: String)
    /// The text is no watermark of this view.
    case wrongWatermark(view: String, found: String, expected: String)
    /// A stored definition makes no sense.
    case corruptDefinition(view: String, text: String)
    case store(StoreError)
}

extension OperatorError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notApplied(let project):
            "nothing of project \(project) is applied to this store; `tidemark apply` does it"
        case .unknownView(let view, let known):
            "view \(view) is not applied to this store\(Nearest.hint(view, among: known))"
        case .unknownVersion(let view, let number, let known):
            "view \(view) has no version \(number); it has \(known.map(String.init).joined(separator: ", "))"
        case .notReadable(let view, let number, let state):
            "version \(number) of \(view) is \(state.rawValue): only a built or the previous version can be read"
        case .noPrevious(let view):
            "view \(view) has no previous version to roll back to: it was never replaced, or keep_previous is over. "
                + "`tidemark sync --backfill \(view)` builds a new one"
        case .otherCurrent(let view, let expected, let found):
            "version \(found.map(String.init) ?? "none") of \(view) is read, not \(expected) as expected"
        case .notPaused(let view):
            "view \(view) is not paused; `tidemark pause \(view)` keeps every sync away from it"
        case .leaseHeld(let view, let owner):
            "view \(view) is still being synced by \(owner): try again when that pass is over"
        case .noMarker(let view): "view \(view) has no watermark yet: it was never synced"
        case .wrongWatermark(let view, let found, let expected):
            "\(found) is no watermark of view \(view): expected \(expected)"
        case .corruptDefinition(let view, let text): "the stored definition of view \(view) makes no sense: \(text)"
        case .store(let error): "online_store: \(error)"
        }
    }
}
