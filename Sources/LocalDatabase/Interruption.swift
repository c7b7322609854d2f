import Synchronization

/// A flag that a connection's statements look at while they run. Raised from any thread, never lowered.
final class Interruption: Sendable {
    private let flag = Atomic<Bool>(false)

    var isRaised: Bool { flag.load(ordering: .relaxed) }

    func raise() {
        flag.store(true, ordering: .relaxed)
    }
}
