import Glibc
import Synchronization

/// The file behind `EventFile`. Its methods block: call them from a thread that may.
final class RotatingFile: Sendable {
    private struct State: ~Copyable {
        /// Below zero while it isn't open.
        var descriptor: Int32 = -1
        /// What the kernel called it when it was opened.
        var name: [CChar] = []
        var size = 0
        /// Since when lines wait for the disk.
        var unsynced: ContinuousClock.Instant?
    }

    let configuration: EventFile.Configuration
    private let state = Mutex(State())

    init(_ configuration: EventFile.Configuration) {
        self.configuration = configuration
    }

    deinit { _ = close() }

    /// Appends whole lines; `ends` are their ends in `lines`.
    ///
    /// - Returns: Why not all of them were written, with those that weren't.
    func append(_ lines: [UInt8], ends: [Int]) -> EventSinkFailure? {
        state.withLock { state in
            var done = 0
            while done < ends.count {
                let start = done == 0 ? 0 : ends[done - 1]
                var problem = prepare(&state)
                let room = configuration.maximumBytes - state.size
                var next = ends[done...].firstIndex { $0 - start > room } ?? ends.count
                if problem == nil, next == done {
                    // A line that is longer than a file may be has one alone.
                    if state.size == 0 { next = done + 1 } else { problem = rotate(&state) }
                }
                if problem == nil, next > done {
                    problem = write(lines[start..<ends[next - 1]], &state)
                    if problem == nil { done = next }
                }
                if let problem { return EventSinkFailure(problem, unwritten: Array(done..<ends.count)) }
            }
            return sync(&state, isLast: false)
        }
    }

    /// Makes the disk have what was written, if it has waited long enough or `isLast`.
    func sync(isLast: Bool) -> EventSinkFailure? {
        state.withLock { sync(&$0, isLast: isLast) }
    }

    /// Makes the disk have what was written, and closes the file.
    func close() -> EventSinkFailure? {
        state.withLock { state in
            let problem = sync(&state, isLast: true)
            shut(&state)
            return problem
        }
    }

    // MARK: Opening

    /// Opens the file, unless it is open and still the one of that path.
    private func prepare(_ state: inout State) -> String? {
        if state.descriptor >= 0 {
            // Moved or deleted, it has another name.
            if Self.name(of: state.descriptor) == state.name { return nil }
            _ = sync(&state, isLast: true)
            shut(&state)
        }
        let descriptor = unsafe open(
            configuration.path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, mode_t(0o640))
        guard descriptor >= 0 else { return Self.problem("opened") }
        state.descriptor = descriptor
        if let problem = begin(&state) {
            shut(&state)
            return problem
        }
        return nil
    }

    private func begin(_ state: inout State) -> String? {
        let size = lseek(state.descriptor, 0, SEEK_END)
        // Only regular files can be cut; a device must never be renamed.
        guard size >= 0, ftruncate(state.descriptor, size) == 0 else { return "it is no regular file" }
        guard flock(state.descriptor, LOCK_EX | LOCK_NB) == 0 else { return "another process writes it" }
        (state.size, state.name) = (Int(size), Self.name(of: state.descriptor))
        return endLine(&state)
    }

    private static func name(of descriptor: Int32) -> [CChar] {
        var name = [CChar](repeating: 0, count: 4_096)
        let count = unsafe readlink("/proc/self/fd/\(descriptor)", &name, name.count)
        return Array(name.prefix(max(0, count)))
    }

    /// Ends a line that a crash has cut.
    private func endLine(_ state: inout State) -> String? {
        guard state.size > 0 else { return nil }
        var last: UInt8 = 0
        let count = unsafe pread(state.descriptor, &last, 1, off_t(state.size - 1))
        guard count == 1 else { return Self.problem("read") }
        return last == UInt8(ascii: "\n") ? nil : write([UInt8(ascii: "\n")], &state)
    }

    private func shut(_ state: inout State) {
        if state.descriptor >= 0 {
            // A child that is being started may hold the descriptor a little longer.
            flock(state.descriptor, LOCK_UN)
            Glibc.close(state.descriptor)
        }
        state = State()
    }

    // MARK: Writing

    /// Writes all of it or, as far as the file can be cut again, nothing.
    private func write(_ bytes: ArraySlice<UInt8>, _ state: inout State) -> String? {
        var rest = bytes
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(state.descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let problem = Self.problem("written")
                // Where it can't be cut, its broken line is ended when it is opened again.
                if ftruncate(state.descriptor, off_t(state.size)) != 0 { shut(&state) }
                return problem
            }
            rest = rest.dropFirst(count)
        }
        state.size += bytes.count
        if state.unsynced == nil { state.unsynced = .now }
        return nil
    }

    private func sync(_ state: inout State, isLast: Bool) -> EventSinkFailure? {
        guard state.descriptor >= 0, let since = state.unsynced,
            isLast || ContinuousClock.now - since >= configuration.syncInterval
        else { return nil }
        // Whatever comes of it: the kernel forgets pages that it could not write, so asking again would be answered well.
        state.unsynced = nil
        guard fdatasync(state.descriptor) == 0 else { return EventSinkFailure(Self.problem("written to the disk")) }
        return nil
    }

    private func rotate(_ state: inout State) -> String? {
        if let failure = sync(&state, isLast: true) { return failure.description }
        for number in stride(from: configuration.keep - 1, through: 0, by: -1) {
            let old = number == 0 ? configuration.path : "\(configuration.path).\(number)"
            guard unsafe rename(old, "\(configuration.path).\(number + 1)") == 0 || errno == ENOENT else {
                return Self.problem("rotated")
            }
        }
        shut(&state)
        return nil
    }

    private static func problem(_ what: String) -> String {
        "it can't be \(what): \(unsafe String(cString: strerror(errno)))"
    }
}
