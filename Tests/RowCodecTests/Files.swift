import Glibc

/// The lines of a text file, without Foundation.
func readLines(_ path: String) throws -> [String] {
    guard let file = unsafe fopen(path, "r") else { throw MissingFile(path: path) }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = unsafe getc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
}

struct MissingFile: Error {
    let path: String
}
