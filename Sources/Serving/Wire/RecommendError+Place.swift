import Recommend

extension RecommendError {
    /// Where in the request it lies, as an error of the wire: a path and a pointer with names of a moderate length.
    package var place: WireError {
        WireError(
            .invalidValue, description,
            path: path.map { step in Int(step).map { WireError.Step.element($0) } ?? .field(step) })
    }
}
