import FeatureModel
import Foundation
import Glibc
import OnlineStore
import Sync

/// The list of erased entities as a file: one line an entity, `<kind> <digest>`. It outlives the store.
struct ErasureFile {
    let path: String

    /// Adds an entity; the line is on the disk when this returns.
    func add(_ digest: String, entity: String) throws {
        guard try !entries().contains(where: { $0.entity == entity && $0.digest == digest }) else { return }
        let descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw failure("opened") }
        defer { Glibc.close(descriptor) }
        try giveToFolder()
        let line = Array("\(entity) \(digest)\n".utf8)
        let written = unsafe line.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        guard written == line.count, fsync(descriptor) == 0 else { throw failure("written") }
    }

    /// Takes an entity out.
    func remove(_ digest: String, entity: String) throws {
        let left = try entries().filter { $0.entity != entity || $0.digest != digest }
        let text = left.map { "\($0.entity) \($0.digest)\n" }.joined()
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        try giveToFolder()
    }

    /// Gives the file to whom its folder belongs: what root makes, the service, which is another user, must be able to read.
    private func giveToFolder() throws {
        guard geteuid() == 0 else { return }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().resolvingSymlinksInPath().path
        let owner = try FileManager.default.attributesOfItem(atPath: folder)
        guard let user = owner[.ownerAccountID] as? Int, let group = owner[.groupOwnerAccountID] as? Int else { return }
        // Never through a link: whose folder it is could lead root to any file.
        guard unsafe lchown(path, UInt32(user), UInt32(group)) == 0 else {
            throw failure("given to the folder's owner")
        }
    }

    /// Puts what the file knows into the store's list. Done at each start, so that a store that came back empty obeys too.
    func merge(into erasures: Erasures, at now: Int64) async throws {
        for (entity, listed) in Dictionary(grouping: try entries(), by: \.entity) {
            let known = try await erasures.digests(entity: entity)
            let missing = listed.map(\.digest).filter { !known.contains($0) }
            for start in stride(from: 0, to: missing.count, by: 1_000) {
                try await erasures.add(
                    Array(missing[start..<min(start + 1_000, missing.count)]), entity: entity, at: now)
            }
        }
    }

    private func entries() throws -> [(entity: String, digest: String)] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        guard let data = FileManager.default.contents(atPath: path) else { throw failure("read") }
        var entries: [(entity: String, digest: String)] = []
        for (index, line) in String(decoding: data, as: UTF8.self).split(separator: "\n").enumerated() {
            let parts = line.split(separator: " ")
            guard parts.count == 2, parts[1].count == 64 else {
                throw UsageError("\(path):\(index + 1): expected an entity's name and a digest of 64 hex digits")
            }
            entries.append((String(parts[0]), String(parts[1])))
        }
        return entries
    }

    private func failure(_ verb: String) -> UsageError {
        UsageError(
            "\(path): the list of erased entities (sync.erasures) can't be \(verb): \(unsafe String(cString: strerror(errno)))"
        )
    }
}
