import ServiceLifecycle
import UnixSignals

/// Passes SIGHUP on, which would end the process otherwise.
struct HangupSignal: Service {
    private let hangups: AsyncStream<Void>.Continuation

    init(_ hangups: AsyncStream<Void>.Continuation) {
        self.hangups = hangups
    }

    func run() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() { hangups.yield() }
        hangups.finish()
    }
}
