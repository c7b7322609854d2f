import Glibc
import LocalDatabase
import RetailRocket
import Testing

/// A temp folder for one test, gone afterwards.
func withFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    var template = Array("/tmp/tidemark-rocket-XXXXXX".utf8CString)
    let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return false }
        return unsafe mkdtemp(start) != nil
    }
    try #require(made)
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
        for name in files(in: folder) { unsafe unlink(folder + "/" + name) }
        unsafe rmdir(folder)
    }
    return try await body(folder)
}

/// The files of a folder, sorted.
func files(in folder: String) -> [String] {
    guard let stream = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
            unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
}

func write(_ text: String, to path: String) throws {
    try write(Array(text.utf8), to: path)
}

func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        try #require(count > 0)
        rest = rest.dropFirst(count)
    }
}

/// A shop opened for looking at it.
struct Shop {
    let database: LocalDatabase

    init(_ path: String) async throws {
        database = try await LocalDatabase(.init(path: path, access: .readWrite))
    }

    func rows(_ sql: String) async throws -> [[SQLiteValue]] {
        try await database.run { try $0.rows(sql) }
    }

    func integer(_ sql: String) async throws -> Int64 {
        let rows = try await rows(sql)
        guard case .integer(let number) = rows.first?.first else {
            Issue.record("no integer: \(sql) gave \(rows.prefix(3))")
            return .min
        }
        return number
    }

    /// Expects a query's only number.
    func expect(_ sql: String, is wanted: Int64, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let found = try await integer(sql)
        #expect(found == wanted, "\(sql)", sourceLocation: sourceLocation)
    }

    func text(_ sql: String) async throws -> String {
        let rows = try await rows(sql)
        guard case .text(let text) = rows.first?.first else {
            Issue.record("no text: \(sql) gave \(rows.prefix(3))")
            return ""
        }
        return text
    }

    /// FNV-1a over every value of every row of every table, types included.
    func digest() async throws -> String {
        try await database.run { connection in
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for table in ShopSchema.tables {
                let statement = try connection.prepare("SELECT * FROM \(table) ORDER BY 1")
                while try statement.step() {
                    for column in 0..<statement.columnCount { absorb(statement.value(column), &hash) }
                }
            }
            return String(hash, radix: 16)
        }
    }

    func close() async { await database.close() }
}

private func absorb(_ value: SQLiteValue, _ hash: inout UInt64) {
    switch value {
    case .null: absorb([0], &hash)
    case .integer(let number): absorb(1, UInt64(bitPattern: number), &hash)
    case .real(let number): absorb(2, number.bitPattern, &hash)
    case .text(let text):
        absorb(3, UInt64(text.utf8.count), &hash)
        absorb(text.utf8, &hash)
    case .blob(let bytes):
        absorb(4, UInt64(bytes.count), &hash)
        absorb(bytes, &hash)
    }
}

private func absorb(_ tag: UInt8, _ number: UInt64, _ hash: inout UInt64) {
    absorb([tag], &hash)
    absorb((0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }, &hash)
}

private func absorb(_ bytes: some Sequence<UInt8>, _ hash: inout UInt64) {
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
}

/// Makes a shop in a temp folder and opens it.
func withShop<Result>(
    _ settings: SyntheticShop.Settings, _ body: (_ path: String, _ shop: Shop) async throws -> Result
) async throws -> Result {
    try await withFolder { folder in
        let path = folder + "/shop.db"
        _ = try await SyntheticShop.create(path: path, settings: settings)
        let shop = try await Shop(path)
        let result = try await body(path, shop)
        await shop.close()
        return result
    }
}
