import FeatureModel
import Foundation

/// Reads what the config names, with limits.
enum ConfigFiles {
    /// The largest config or definition file, in bytes.
    static let maximumBytes = 1 << 20
    /// The most definition files of a project.
    static let maximumFiles = 1_000

    /// The bytes of a regular file.
    static func read(_ path: String, what: String) throws -> [UInt8] {
        let attributes: [FileAttributeKey: Any]
        do {
            attributes = try FileManager.default.attributesOfItem(
                atPath: URL(fileURLWithPath: path).resolvingSymlinksInPath().path)
        } catch {
            throw UsageError("\(path): \(what) is not there; `tidemark --help` tells where it is looked for")
        }
        guard attributes[.type] as? FileAttributeType == .typeRegular else {
            throw UsageError("\(path): \(what) is no regular file")
        }
        let size = (attributes[.size] as? NSNumber)?.intValue ?? 0
        guard size <= maximumBytes else {
            throw UsageError("\(path): \(what) has \(size) bytes, more than the \(maximumBytes) allowed")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw UsageError("\(path): \(what) can't be read; check its permissions")
        }
        return Array(data)
    }

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
