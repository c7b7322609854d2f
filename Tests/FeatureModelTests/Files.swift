import Foundation

/// Files of the repository that tests hold the code against.
enum Files {
    static let root: URL = {
        var url = URL(filePath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url
    }()

    static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: root.appending(path: path)))
    }

    static func text(_ path: String) throws -> String {
        String(decoding: try bytes(path), as: UTF8.self)
    }

    /// The demo's definition files, by name, in order.
    static func shop() throws -> [(name: String, text: [UInt8])] {
        try ["entities", "items", "services", "taste", "users"].map { name in
            let path = "schemas/shop/\(name).yaml"
            return (path, try bytes(path))
        }
    }
}
