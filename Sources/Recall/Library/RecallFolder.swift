import Crypto
import FeatureModel
import Glibc

/// The versions of one list on the disk.
///
/// `<dir>/<list>/<version>/` holds `manifest.json` and `data.bin` and never changes; `<dir>/<list>/current` holds the number
/// of the live version and is replaced whole. What a build that was killed leaves behind is swept by the next one.
package struct RecallFolder: Sendable {
    package let list: String
    /// `<dir>/<list>`.
    package let path: String

    /// `list` must be a name of the config, which are safe in paths.
    package init(directory: String, list: String) {
        self.list = list
        path = "\(directory)/\(list)"
    }

    private func folder(_ version: UInt64) -> String { "\(path)/\(version)" }

    // MARK: Looking

    /// The versions that are there, ascending. Whether they are whole shows when they are loaded.
    package func versions() throws(RecallError) -> [UInt64] {
        try DiskFile.names(in: path).compactMap(Self.number).sorted()
    }

    /// The live version; `nil` where nothing was ever built.
    package func current() throws(RecallError) -> UInt64? {
        let text: [UInt8]
        do throws(RecallError) {
            text = try DiskFile.read("\(path)/current", limit: 64)
        } catch {
            guard error.code == .missing else { throw error }
            return nil
        }
        let line = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard line.count == 2, line[1].isEmpty, let version = Self.number(String(line[0])) else {
            throw RecallError(.damaged, "the list's `current` is no version", detail: "\(path)/current")
        }
        return version
    }

    /// Canonical decimal digits alone: nothing else can get out of the folder.
    private static func number(_ name: String) -> UInt64? {
        guard let number = UInt64(name), String(number) == name else { return nil }
        return number
    }

    /// What a version says of itself.
    package func manifest(_ version: UInt64) throws(RecallError) -> RecallManifest {
        let bytes = try DiskFile.read("\(folder(version))/manifest.json", limit: RecallManifest.maximumBytes)
        let manifest = try RecallManifest(bytes)
        guard manifest.list == list, manifest.version == version else {
            throw RecallError(
                .incompatible, "the manifest is another version's",
                detail: "\(folder(version)): found \(manifest.list) \(manifest.version)")
        }
        return manifest
    }

    /// Reads a version and checks all of it: length, digest, and that it doesn't contradict itself.
    ///
    /// `limit` is the most bytes that it may have.
    package func load(_ version: UInt64, limit: Int) throws(RecallError) -> (RecallManifest, RecallArtifact) {
        let manifest = try manifest(version)
        let path = "\(folder(version))/data.bin"
        guard let length = DiskFile.length(path) else {
            throw RecallError(.damaged, "the list's data is missing", detail: path)
        }
        guard length == manifest.bytes else {
            throw RecallError(
                .damaged, "the list's data has another length",
                detail: "\(path): expected \(manifest.bytes) bytes, found \(length)")
        }
        let bytes = try DiskFile.read(path, limit: limit)
        guard Self.digest(bytes) == manifest.sha256 else {
            throw RecallError(.damaged, "the list's data has another digest", detail: path)
        }
        let artifact = try RecallArtifact(bytes)
        guard artifact.kind == manifest.kind else {
            throw RecallError(.damaged, "the list's data is of another kind", detail: path)
        }
        return (manifest, artifact)
    }

    /// The SHA-256 in hex digits of lower case.
    static func digest(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in SHA256.hash(data: bytes) { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    // MARK: Changing

    /// Where a build may be killed; for tests.
    package enum Step: String, CaseIterable, Sendable, Codable {
        case begun, dataWritten, manifestWritten, named, verified, currentWritten, switched, pruned
    }

    /// Keeps two builds, or a build and a rollback, of one list apart until it goes. The kernel drops it with the process.
    package struct Lock: ~Copyable {
        private let descriptor: Int32

        fileprivate init(_ path: String) throws(RecallError) {
            descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
            guard descriptor >= 0 else {
                throw RecallError(
                    .unavailable, "the list can't be locked",
                    detail: "\(path): \(unsafe String(cString: strerror(errno)))")
            }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                close(descriptor)
                throw RecallError(.busy, "another build of the list is under way", detail: path)
            }
        }

        deinit {
            // Not by closing alone: a child that is being started holds the descriptor until it has its own program.
            flock(descriptor, LOCK_UN)
            close(descriptor)
        }
    }

    /// Makes the folder, takes the lock, and sweeps what killed builds have left.
    ///
    /// - Throws: `busy` while another process builds the list.
    package func lock() throws(RecallError) -> Lock {
        try DiskFile.makeFolder(path)
        let lock = try Lock("\(path)/.lock")
        for name in try DiskFile.names(in: path) where name.hasPrefix(".building-") {
            DiskFile.removeVersion("\(path)/\(name)")
        }
        unsafe unlink("\(path)/.current")
        return lock
    }

    /// Writes a new version and makes it the live one: files first, then the version's name, then `current`, each on the
    /// disk before the next. Needs the lock.
    package func publish(
        _ artifact: RecallArtifact, lock: borrowing Lock, keep: Int, limit: Int,
        manifest make: (_ version: UInt64, _ bytes: Int64, _ sha256: String) -> RecallManifest,
        at step: (Step) -> Void = { _ in }
    ) throws(RecallError) -> RecallManifest {
        let bytes = artifact.encoded()
        guard bytes.count <= limit else {
            throw RecallError(
                .tooLarge, "the list is too large", detail: "\(list): \(bytes.count) bytes, \(limit) allowed")
        }
        let version = max(try versions().last ?? 0, try current() ?? 0) + 1
        let manifest = make(version, Int64(bytes.count), Self.digest(bytes))
        let building = "\(path)/.building-\(version)"
        try DiskFile.makeFolder(building)
        step(.begun)
        try DiskFile.write(bytes, to: "\(building)/data.bin")
        step(.dataWritten)
        try DiskFile.write(try manifest.encoded(), to: "\(building)/manifest.json")
        try DiskFile.sync(folder: building)
        step(.manifestWritten)
        try DiskFile.rename(building, to: folder(version))
        try DiskFile.sync(folder: path)
        step(.named)
        guard try load(version, limit: limit).1 == artifact else {
            throw RecallError(.damaged, "the list reads back other than it was written", detail: folder(version))
        }
        step(.verified)
        try switchTo(version, lock: lock, at: step)
        try prune(keep: keep, live: version)
        step(.pruned)
        return manifest
    }

    private func switchTo(_ version: UInt64, lock: borrowing Lock, at step: (Step) -> Void = { _ in })
        throws(RecallError)
    {
        try DiskFile.write(Array("\(version)\n".utf8), to: "\(path)/.current")
        step(.currentWritten)
        try DiskFile.rename("\(path)/.current", to: "\(path)/current")
        try DiskFile.sync(folder: path)
        step(.switched)
    }

    /// Keeps the newest versions, and the live one.
    private func prune(keep: Int, live: UInt64) throws(RecallError) {
        for version in try versions().dropLast(max(1, keep)) where version != live {
            DiskFile.removeVersion(folder(version))
        }
    }

    /// Makes the version before the live one the live one; `to` names another. It is loaded first.
    package func rollBack(to wanted: UInt64?, limit: Int) throws(RecallError) -> (before: UInt64, after: UInt64) {
        let lock = try lock()
        guard let live = try current() else {
            throw RecallError(.missing, "the list was never built", detail: "`tidemark recall build \(list)` builds it")
        }
        let there = try versions()
        guard let version = wanted ?? there.last(where: { $0 < live }), there.contains(version) else {
            let listed = there.map(String.init).joined(separator: ", ")
            throw RecallError(
                .missing, "there is no such version to go back to",
                detail: "\(list): \(live) is live, there are \(listed.isEmpty ? "none" : listed)")
        }
        _ = try load(version, limit: limit)
        try switchTo(version, lock: lock)
        return (live, version)
    }
}
