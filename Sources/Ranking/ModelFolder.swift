import Crypto
import Glibc

/// The folder of one model: a folder a version, and `current`, a file that names the live one.
///
/// Nothing outside of it can be reached through it: a version's name has no slash, and no symbolic link is followed below
/// the folder itself. What is read is a regular file within its limit, so that neither a FIFO nor a device nor 10 GB of
/// holes is waited for or read.
package struct ModelFolder: Sendable {
    /// What was read of one version.
    package struct Version: Sendable {
        package let manifest: ModelManifest
        package let model: [UInt8]
    }

    package let path: String
    /// The longest model file that is read, in bytes.
    package let maximumBytes: Int

    /// The longest `model.json` that is read, in bytes.
    static let maximumManifestBytes = 4 << 20
    /// What a model file may be, when nobody says another limit: 256 MiB.
    package static let standardMaximumBytes = 256 << 20
    static let current = "current"
    static let manifestFile = "model.json"

    package init(path: String, maximumBytes: Int = Self.standardMaximumBytes) {
        self.path = path
        self.maximumBytes = maximumBytes
    }

    /// Whether a version may have that name.
    package static func isVersion(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && name != current
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || byte == 0x2d || byte == 0x2e || byte == 0x5f
            } && !name.hasPrefix(".")
    }

    /// Whether there is anything at the path.
    package var isThere: Bool { Descriptor.exists(path) }

    // MARK: Reading

    /// The version that `current` names; `nil` where there is no `current`.
    package func currentVersion() throws(RankerError) -> String? {
        let root = try Descriptor.folder(path)
        guard let file = try root.file(Self.current, limit: 256, isOptional: true) else { return nil }
        let bytes = try file.read(Self.current, limit: 256)
        let name = String(decoding: bytes, as: UTF8.self).trimmingBlanks
        guard Self.isVersion(name) else {
            throw RankerError(.corrupt, "current names no version", detail: String(name.prefix(80)))
        }
        return name
    }

    /// The versions that are there, oldest first: by number where names are numbers, then by name.
    package func versions() throws(RankerError) -> [String] {
        let root = try Descriptor.folder(path)
        return try root.names(limit: 10_000).filter(Self.isVersion).filter { root.hasFolder($0) }.sorted {
            (Int($0) ?? -1, $0) < (Int($1) ?? -1, $1)
        }
    }

    /// Reads one version and checks the model file against its digest.
    package func read(_ version: String) throws(RankerError) -> Version {
        guard Self.isVersion(version) else {
            throw RankerError(.notFound, "there is no such version", detail: String(version.prefix(80)))
        }
        let folder = try Descriptor.folder(path).folder(version)
        let limit = Self.maximumManifestBytes
        guard let file = try folder.file(Self.manifestFile, limit: limit) else {
            throw RankerError(.notFound, "there is no model.json", detail: version)
        }
        let manifest = try ModelManifest(json: file.read(Self.manifestFile, limit: limit))
        guard manifest.version == version else {
            throw RankerError(
                .corrupt, "model.json is of another version", detail: "\(manifest.version.prefix(80)) in \(version)")
        }
        guard let file = try folder.file(ModelManifest.modelFile, limit: maximumBytes) else {
            throw RankerError(.notFound, "there is no model file", detail: version)
        }
        let model = try file.read(ModelManifest.modelFile, limit: maximumBytes)
        let digest = Self.hex(SHA256.hash(data: model))
        guard model.count == manifest.bytes, digest == manifest.sha256 else {
            throw RankerError(
                .corrupt, "the model file is not what model.json says",
                detail: "\(model.count) bytes of \(manifest.bytes), sha256 \(digest)")
        }
        return Version(manifest: manifest, model: model)
    }

    // MARK: Writing

    /// The number behind the highest there is.
    package func nextVersion() throws(RankerError) -> String {
        guard Descriptor.exists(path) else { return "1" }
        return String((try versions().compactMap { Int($0) }.max() ?? 0) + 1)
    }

    /// Writes a version beside the others, whole or not at all. `current` stays.
    package func write(_ manifest: ModelManifest, model: [UInt8]) throws(RankerError) {
        guard Self.isVersion(manifest.version) else {
            throw RankerError(.corrupt, "that is no name of a version", detail: String(manifest.version.prefix(80)))
        }
        try Descriptor.makeFolders(path)
        let root = try Descriptor.folder(path)
        let draft = ".draft-\(getpid())"
        root.removeDraft(draft, files: [Self.manifestFile, ModelManifest.modelFile])
        let folder = try root.makeFolder(draft)
        try folder.write(ModelManifest.modelFile, model)
        try folder.write(Self.manifestFile, manifest.json())
        try folder.sync()
        do {
            try root.rename(draft, to: manifest.version)
        } catch {
            root.removeDraft(draft, files: [Self.manifestFile, ModelManifest.modelFile])
            throw error
        }
        try root.sync()
    }

    /// Makes a version the live one, for whoever loads next.
    package func setCurrent(_ version: String) throws(RankerError) {
        guard Self.isVersion(version) else {
            throw RankerError(.notFound, "there is no such version", detail: String(version.prefix(80)))
        }
        let root = try Descriptor.folder(path)
        let draft = ".current-\(getpid())"
        root.remove(draft)
        try root.write(draft, Array("\(version)\n".utf8))
        try root.rename(draft, to: Self.current)
        try root.sync()
    }

    /// Removes the oldest versions but `keep`, never one of those named.
    package func prune(keep: Int, except kept: Set<String>) throws(RankerError) {
        let root = try Descriptor.folder(path)
        let names = try versions()
        for name in names.dropLast(keep) where !kept.contains(name) {
            root.removeDraft(name, files: [Self.manifestFile, ModelManifest.modelFile])
        }
    }

    /// The SHA-256 of a model file as manifests have it.
    package static func digest(of model: [UInt8]) -> String {
        hex(SHA256.hash(data: model))
    }

    private static func hex(_ digest: SHA256.Digest) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x0a || $0 == 0x0d || $0 == 0x09 }
        let bytes = Array(utf8.drop(while: isBlank))
        return String(decoding: bytes[..<(bytes.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? 0)], as: UTF8.self)
    }
}
