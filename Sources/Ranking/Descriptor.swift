import Glibc

/// An open file or folder, closed at the end. Below a folder no symbolic link is followed.
struct Descriptor: ~Copyable {
    private let raw: Int32

    private init(_ raw: Int32) {
        self.raw = raw
    }

    deinit {
        close(raw)
    }

    /// Whether something stands at a path.
    static func exists(_ path: String) -> Bool {
        unsafe access(path, F_OK) == 0
    }

    /// The folder at a path of the operator's, which may lead over symbolic links.
    static func folder(_ path: String) throws(RankerError) -> Descriptor {
        let raw = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard raw >= 0 else { throw failure("the folder can't be opened", path) }
        return Descriptor(raw)
    }

    /// Makes a folder and those above it.
    static func makeFolders(_ path: String) throws(RankerError) {
        var prefix = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            prefix += "\(part)/"
            guard unsafe mkdir(prefix, 0o755) != 0, errno != EEXIST else { continue }
            throw failure("the folder can't be made", prefix)
        }
    }

    // MARK: A folder

    func folder(_ name: String) throws(RankerError) -> Descriptor {
        let raw = unsafe openat(raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard raw >= 0 else { throw Self.failure("the version can't be opened", name) }
        return Descriptor(raw)
    }

    func hasFolder(_ name: String) -> Bool {
        var status = stat()
        return unsafe fstatat(raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The regular file of that name, if it is no longer than `limit`. Never waits: not for a FIFO's other end either.
    ///
    /// - Returns: `nil` where there is none and it may be missing.
    func file(_ name: String, limit: Int, isOptional: Bool = false) throws(RankerError) -> Descriptor? {
        let raw = unsafe openat(raw, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard raw >= 0 else {
            if isOptional, errno == ENOENT { return nil }
            throw Self.failure("the file can't be opened", name)
        }
        let file = Descriptor(raw)
        var status = stat()
        guard unsafe fstat(raw, &status) == 0 else { throw Self.failure("the file can't be looked at", name) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw RankerError(.corrupt, "it is no regular file", detail: name)
        }
        guard Int(status.st_size) <= limit else {
            throw RankerError(
                .tooLarge, "the file is too long", detail: "\(name): \(status.st_size) bytes, \(limit) at most")
        }
        return file
    }

    /// The names in the folder, in no order; at most `limit`.
    func names(limit: Int) throws(RankerError) -> [String] {
        let copy = unsafe openat(raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let folder = unsafe fdopendir(copy) else {
            throw Self.failure("the folder can't be listed", "")
        }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            guard names.count < limit else { throw RankerError(.tooLarge, "too many versions", detail: "\(limit)") }
            names.append(name)
        }
        return names
    }

    func makeFolder(_ name: String) throws(RankerError) -> Descriptor {
        guard unsafe mkdirat(raw, name, 0o755) == 0 else { throw Self.failure("the folder can't be made", name) }
        return try folder(name)
    }

    func write(_ name: String, _ bytes: [UInt8]) throws(RankerError) {
        let raw = unsafe openat(raw, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(0o644))
        guard raw >= 0 else { throw Self.failure("the file can't be made", name) }
        let file = Descriptor(raw)
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(raw, $0.baseAddress?.advanced(by: written), $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("the file can't be written", name) }
            written += count
        }
        try file.sync()
    }

    func rename(_ name: String, to other: String) throws(RankerError) {
        guard unsafe renameat(raw, name, raw, other) == 0 else { throw Self.failure("it can't be renamed", other) }
    }

    func remove(_ name: String) {
        unsafe unlinkat(raw, name, 0)
    }

    /// Removes a folder with files of those names; what can't be removed stays.
    func removeDraft(_ name: String, files: [String]) {
        let folder = unsafe openat(raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { return }
        for file in files { unsafe unlinkat(folder, file, 0) }
        close(folder)
        unsafe unlinkat(raw, name, AT_REMOVEDIR)
    }

    func sync() throws(RankerError) {
        guard fsync(raw) == 0 else { throw Self.failure("it can't be made durable", "") }
    }

    // MARK: A file

    /// Reads it whole.
    func read(_ name: String, limit: Int) throws(RankerError) -> [UInt8] {
        var status = stat()
        guard unsafe fstat(raw, &status) == 0 else { throw Self.failure("the file can't be looked at", name) }
        // A file that grows meanwhile is cut there; its digest tells.
        var bytes = [UInt8](repeating: 0, count: min(limit, Int(status.st_size)))
        var filled = 0
        while filled < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe Glibc.read(raw, $0.baseAddress?.advanced(by: filled), $0.count - filled)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure("the file can't be read", name) }
            if count == 0 { break }
            filled += count
        }
        bytes.removeSubrange(filled...)
        return bytes
    }

    private static func failure(_ message: StaticString, _ name: String) -> RankerError {
        let code: RankerError.Code =
            errno == ENOENT ? .notFound : errno == ELOOP || errno == ENOTDIR ? .corrupt : .failed
        return RankerError(code, message, detail: "\(name): \(unsafe String(cString: strerror(errno)))")
    }
}
