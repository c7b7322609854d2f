import Glibc

/// Folders of tests: made under the system's folder for temporary files, removed with all that is in them.
package enum TemporaryFolder {
    /// Makes an empty folder.
    package static func make() throws -> String {
        let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/tidemark.XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw TemporaryFolderError() }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes a folder and what is in it. What can't be removed stays: the folder is temporary anyway.
    package static func remove(_ path: String) {
        // First, so that a symbolic link goes itself and not what it points to.
        if unsafe path.withCString({ unsafe unlink($0) }) == 0 { return }
        guard let folder = unsafe opendir(path) else { return }
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { remove("\(path)/\(name)") }
        }
        unsafe closedir(folder)
        _ = unsafe path.withCString { unsafe rmdir($0) }
    }
}

/// No temporary folder could be made.
package struct TemporaryFolderError: Error {}
