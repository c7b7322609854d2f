internal import Dispatch
internal import Glibc
internal import Synchronization

/// A child process of a test: its output is kept, its end is awaited as an event, and it never outlives this value.
package final class DaemonProcess: Sendable {
    /// How a process ended and what it said.
    package struct Ending: Sendable {
        /// The exit code; `nil` when a signal ended it.
        package let code: Int32?
        /// The signal that ended it, if one did.
        package let signal: Int32?
        package let output: String
        package let errors: String
        /// Whether it did not end in time and was killed for it.
        package let timedOut: Bool

        /// For a failed expectation: the whole story.
        package var story: String {
            "code \(code.map(String.init) ?? "none"), signal \(signal.map(String.init) ?? "none")"
                + "\(timedOut ? ", timed out" : "")\n\(output)\(errors)"
        }
    }

    /// What went wrong with starting one.
    package struct Failure: Error {
        package let text: String
    }

    private struct State {
        var isReaped = false
        var isOverdue = false
        var output: [UInt8] = []
        var errors: [UInt8] = []
        var ending: Ending?
        var waiting: [CheckedContinuation<Ending, Never>] = []
        var watching: [(text: String, continuation: CheckedContinuation<Bool, Never>)] = []
    }

    package let id: Int32
    private let state: Mutex<State>

    /// No more than this is kept of each output.
    private static let outputLimit = 4 << 20

    /// Starts a program. `environment` comes on top of this process' own.
    package init(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        let output = try Self.socketPair()
        let errors = try Self.socketPair()
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output.child, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, errors.child, 2)
        var words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
        defer { unsafe words.forEach { unsafe free($0) } }
        var variables = unsafe Self.merged(environment).map { unsafe strdup($0) } + [nil]
        defer { unsafe variables.forEach { unsafe free($0) } }
        var pid = pid_t()
        let status = unsafe posix_spawn(&pid, program, &actions, nil, &words, &variables)
        close(output.child)
        close(errors.child)
        guard status == 0 else {
            close(output.parent)
            close(errors.parent)
            throw Failure(text: "cannot start \(program): errno \(status)")
        }
        id = pid
        state = Mutex(State())
        // The queue's thread waits in poll and waitid, where no Swift task may.
        DispatchQueue(label: "daemon \(pid)").async { [self] in follow(output.parent, errors.parent) }
    }

    // MARK: Ending it

    /// Sends a signal, unless the process has ended.
    package func signal(_ number: Int32) {
        state.withLock { if !$0.isReaped { Glibc.kill(id, number) } }
    }

    /// SIGKILL, as of an impatient operator or the kernel.
    package func kill() { signal(SIGKILL) }

    /// SIGTERM, as of a supervisor.
    package func terminate() { signal(SIGTERM) }

    /// Freezes it where it stands; returns when it does, or has ended.
    package func pause() async {
        signal(SIGSTOP)
        // One thread takes the signal and stops the others, which go on until then.
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { [id] in
                var information = unsafe siginfo_t()
                while unsafe waitid(P_PID, id_t(id), &information, WSTOPPED | WEXITED | WNOWAIT) < 0, errno == EINTR {}
                continuation.resume()
            }
        }
    }

    /// Lets a frozen process go on.
    package func resume() { signal(SIGCONT) }

    /// Waits for its end; kills it when that takes longer than `limit`.
    package func ending(within limit: Duration = .seconds(60)) async -> Ending {
        let seconds = Double(limit.components.seconds) + Double(limit.components.attoseconds) * 1e-18
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [weak self] in self?.isOverdue() }
        return await withCheckedContinuation { continuation in
            let ended = state.withLock { state in
                if state.ending == nil { state.waiting.append(continuation) }
                return state.ending
            }
            if let ended { continuation.resume(returning: ended) }
        }
    }

    private func isOverdue() {
        let isRunning = state.withLock { state in
            if !state.isReaped { state.isOverdue = true }
            return !state.isReaped
        }
        if isRunning { kill() }
    }

    /// Waits until it has written `text` to standard error. `false` when it ended without.
    package func hasSaid(_ text: String) async -> Bool {
        await withCheckedContinuation { continuation in
            let known: Bool? = state.withLock { state in
                if String(decoding: state.errors, as: UTF8.self).contains(text) { return true }
                if state.ending != nil { return false }
                state.watching.append((text, continuation))
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    /// What it has written to standard error so far.
    package var errorText: String { state.withLock { String(decoding: $0.errors, as: UTF8.self) } }

    // MARK: The thread behind it

    /// Reads both outputs to their ends, then waits for the process'.
    private func follow(_ output: Int32, _ errors: Int32) {
        var descriptors = [output, errors]
        while descriptors.contains(where: { $0 >= 0 }) {
            var pollers = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard unsafe poll(&pollers, nfds_t(pollers.count), -1) >= 0 || errno == EINTR else { break }
            for index in pollers.indices where pollers[index].revents != 0 {
                let bytes = Self.readSome(descriptors[index])
                if bytes.isEmpty {
                    close(descriptors[index])
                    descriptors[index] = -1
                } else {
                    keep(bytes, isOutput: index == 0)
                }
            }
        }
        for descriptor in descriptors where descriptor >= 0 { close(descriptor) }
        end()
    }

    private func keep(_ bytes: [UInt8], isOutput: Bool) {
        let found = state.withLock { state -> [CheckedContinuation<Bool, Never>] in
            if isOutput {
                if state.output.count < Self.outputLimit { state.output += bytes }
                return []
            }
            if state.errors.count < Self.outputLimit { state.errors += bytes }
            guard !state.watching.isEmpty else { return [] }
            let text = String(decoding: state.errors, as: UTF8.self)
            let found = state.watching.filter { text.contains($0.text) }.map(\.continuation)
            state.watching.removeAll { text.contains($0.text) }
            return found
        }
        for continuation in found { continuation.resume(returning: true) }
    }

    private func end() {
        var information = unsafe siginfo_t()
        while unsafe waitid(P_PID, id_t(id), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
        let (ending, waiting, watching) = state.withLock { state in
            // Until it is reaped here nobody else can have its number.
            var status: Int32 = 0
            while unsafe waitpid(id, &status, 0) < 0, errno == EINTR {}
            state.isReaped = true
            let signal = status & 0x7f
            let ending = Ending(
                code: signal == 0 ? status >> 8 & 0xff : nil, signal: signal == 0 ? nil : signal,
                output: String(decoding: state.output, as: UTF8.self),
                errors: String(decoding: state.errors, as: UTF8.self), timedOut: state.isOverdue)
            state.ending = ending
            defer {
                state.waiting = []
                state.watching = []
            }
            return (ending, state.waiting, state.watching.map(\.continuation))
        }
        for continuation in waiting { continuation.resume(returning: ending) }
        for continuation in watching { continuation.resume(returning: false) }
    }

    // MARK: Plumbing

    /// Born closed on exec, so that no other child holds the writing end open.
    private static func socketPair() throws -> (parent: Int32, child: Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw Failure(text: "no socket pair: errno \(errno)")
        }
        return (ends[0], ends[1])
    }

    private static func readSome(_ descriptor: Int32) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe read(descriptor, &buffer, buffer.count)
        return count <= 0 ? [] : Array(buffer.prefix(count))
    }

    private static func merged(_ extra: [String: String]) -> [String] {
        var texts: [String] = []
        var index = 0
        while let entry = unsafe environ[index] {
            let text = unsafe String(cString: entry)
            let name = String(text.prefix { $0 != "=" })
            if extra[name] == nil { texts.append(text) }
            index += 1
        }
        return texts + extra.map { "\($0.key)=\($0.value)" }
    }
}

extension DaemonProcess {
    /// The `tidemark` that was built beside this test bundle; `nil` where there is none.
    package static let tidemark: String? = {
        var buffer = [CChar](repeating: 0, count: 4_096)
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return nil }
        let own = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var candidates = [own] + CommandLine.arguments
        candidates = candidates.compactMap { path in
            path.lastIndex(of: "/").map { String(path[..<$0]) + "/tidemark" }
        }
        return candidates.first { unsafe access($0, X_OK) == 0 }
    }()
}
