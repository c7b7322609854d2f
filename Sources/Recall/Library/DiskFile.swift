import Glibc

/// Files as artifacts need them: whole, bounded, and on the disk before they are named.
enum DiskFile {
    private static func reason(_ path: String) -> String { "\(path): \(unsafe String(cString: strerror(errno)))" }

    /// The length of a regular file; `nil` where there is nothing, or something else.
    static func length(_ path: String) -> Int64? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int64(status.st_size)
    }

    /// The bytes of a regular file that has at most `limit` of them. Symbolic links are not followed.
    static func read(_ path: String, limit: Int) throws(RecallError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            let code: RecallError.Code = errno == ENOENT ? .missing : errno == ELOOP ? .damaged : .unavailable
            throw RecallError(code, "a file of the list can't be opened", detail: reason(path))
        }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw RecallError(.damaged, "a file of the list is no regular file", detail: path)
        }
        guard Int(status.st_size) <= limit else {
            throw RecallError(
                .tooLarge, "a file of the list is too large",
                detail: "\(path): \(status.st_size) bytes, \(limit) allowed")
        }
        return try read(descriptor, Int(status.st_size), path)
    }

    private static func read(_ descriptor: Int32, _ size: Int, _ path: String) throws(RecallError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, made in
            while made < size {
                let count = unsafe Glibc.read(descriptor, buffer.baseAddress.map { unsafe $0 + made }, size - made)
                if count < 0, errno == EINTR { continue }
                if count < 0 { failure = errno }
                guard count > 0 else { return }
                made += count
            }
        }
        guard failure == 0 else {
            errno = failure
            throw RecallError(.unavailable, "a file of the list can't be read", detail: reason(path))
        }
        guard bytes.count == size else {
            throw RecallError(.damaged, "a file of the list ended early", detail: path)
        }
        return bytes
    }

    /// Makes a file, or empties the one that is there, writes it and waits until it is on the disk.
    static func write(_ bytes: [UInt8], to path: String) throws(RecallError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw unwritable(path) }
        defer { close(descriptor) }
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress.map { unsafe $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw unwritable(path) }
            done += count
        }
        guard fsync(descriptor) == 0 else { throw unwritable(path) }
    }

    /// Waits until a folder's entries are on the disk.
    static func sync(folder path: String) throws(RecallError) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unwritable(path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw unwritable(path) }
    }

    /// Makes a folder and those above it, where they are not there.
    static func makeFolder(_ path: String) throws(RecallError) {
        if unsafe mkdir(path, 0o755) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw unwritable(path)
        }
        try makeFolder(String(path[..<slash]))
        guard unsafe mkdir(path, 0o755) == 0 || errno == EEXIST else { throw unwritable(path) }
    }

    /// Gives a file or folder another name, at once, in the place of a file of that name.
    static func rename(_ path: String, to other: String) throws(RecallError) {
        guard unsafe Glibc.rename(path, other) == 0 else { throw unwritable(other) }
    }

    /// The names in a folder; none where it is not there. At most `limit` are looked at.
    static func names(in path: String, limit: Int = 100_000) throws(RecallError) -> [String] {
        guard let folder = unsafe opendir(path) else {
            if errno == ENOENT { return [] }
            throw RecallError(.unavailable, "the folder of the lists can't be read", detail: reason(path))
        }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while names.count < limit, let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a version's folder: the files that this release knows, and then it. What else lies there keeps it.
    static func removeVersion(_ path: String) {
        for name in ["manifest.json", "data.bin"] { unsafe unlink("\(path)/\(name)") }
        unsafe rmdir(path)
    }

    private static func unwritable(_ path: String) -> RecallError {
        RecallError(.unavailable, "the folder of the lists can't be written", detail: reason(path))
    }
}
