// With gRPC linked, the compiler takes `stat` for a part of this one.
import CoreFoundation
import FeatureModel
import Foundation
import Glibc

/// Reads what the config names, with limits.
enum ConfigFiles {
    /// The largest config or definition file, in bytes.
    static let maximumBytes = 1 << 20
    /// The most definition files of a project.
    static let maximumFiles = 1_000

    /// The bytes of a regular file. A pipe or a device is refused instead of waited for.
    static func read(_ path: String, what: String, limit: Int = maximumBytes) throws -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw UsageError("\(path): \(what) is not there; \(Self.advice)") }
            let reason = unsafe String(cString: strerror(errno))
            throw UsageError("\(path): \(what) can't be read: \(reason); check its permissions")
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw UsageError("\(path): \(what) is no regular file; \(Self.advice)")
        }
        guard status.st_size <= limit else {
            throw UsageError("\(path): \(what) has \(status.st_size) bytes, more than the \(limit) allowed")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        // A file that grows meanwhile ends at the limit too.
        while bytes.count <= limit {
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw UsageError("\(path): \(what) can't be read: \(unsafe String(cString: strerror(errno)))")
            }
            if count == 0 { break }
            bytes += buffer.prefix(count)
        }
        return bytes
    }

    private static let advice = "`tidemark --help` tells where the config is looked for"

    /// A path of the config, relative to the config's folder.
    static func resolve(_ path: String, from configPath: String) -> String {
        if path.hasPrefix("/") { return path }
        let folder = URL(fileURLWithPath: configPath).deletingLastPathComponent().path
        return URL(fileURLWithPath: folder).appendingPathComponent(path).path
    }

    /// The definition files of a folder, by name.
    static func definitions(in folder: String) throws -> [(name: String, text: [UInt8])] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw UsageError(
                "\(folder): the folder of definitions (`schemas` in the config) is not there or can't be read")
        }
        let files = names.filter { ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml")) && !$0.hasPrefix(".") }.sorted()
        guard !files.isEmpty else { throw UsageError("\(folder): there are no *.yaml files with definitions in it") }
        guard files.count <= maximumFiles else {
            throw UsageError("\(folder): \(files.count) definition files, more than the \(maximumFiles) allowed")
        }
        return try files.map { name in
            let path = "\(folder)/\(name)"
            return (path, try read(path, what: "the definition file"))
        }
    }

    /// The text of a secret.
    static func resolve(_ secret: Secret, from configPath: String, what: String) throws -> String {
        switch secret {
        case .environment(let name):
            guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else {
                throw UsageError("\(what): the variable \(name) (env:\(name) in the config) is not set")
            }
            return value
        case .file(let path):
            let bytes = try read(resolve(path, from: configPath), what: "the secret of \(what)")
            var text = String(decoding: bytes, as: UTF8.self)
            while text.hasSuffix("\n") || text.hasSuffix("\r\n") { text.removeLast() }
            guard !text.isEmpty else { throw UsageError("\(what): the secret's file \(path) is empty") }
            return text
        }
    }
}
