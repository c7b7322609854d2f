import LocalDatabase
import Testing
import TidemarkTesting

/// Whoever keeps a database locked.
private actor Holder {
    private var database: LocalDatabase?

    func lock(_ path: String) async throws {
        let opened = try await LocalDatabase(.init(path: path))
        try await opened.run { try $0.execute("BEGIN EXCLUSIVE") }
        database = opened
    }

    func release() async {
        await database?.close()
        database = nil
    }
}

extension WrongCase {
    private static let holder = Holder()

    static let source: [WrongCase] = [
        WrongCase(
            name: "the source stays locked", code: 1, words: ["view activity", "stayed locked", "database is locked"],
            spoil: { try await holder.lock($0.workdir.file("shop.db")) }, mend: { _ in await holder.release() }),
        WrongCase(
            name: "the table is missing", code: 1, words: ["view activity", "no such table: users", "mend the source"],
            spoil: { try await $0.execute("ALTER TABLE users RENAME TO people") },
            mend: { try await $0.execute("ALTER TABLE people RENAME TO users") }),
        WrongCase(
            name: "a column is dropped", code: 1, words: ["view activity", "no such column: name"],
            spoil: { try await $0.execute("ALTER TABLE users DROP COLUMN name") },
            mend: {
                try await $0.execute(
                    "ALTER TABLE users ADD COLUMN name TEXT; UPDATE users SET name = 'new' || id, seq = seq + 10")
            }),
        WrongCase(
            name: "a column is renamed", code: 1, words: ["view activity", "no such column: views"],
            spoil: { try await $0.execute("ALTER TABLE users RENAME COLUMN views TO seen") },
            mend: { try await $0.execute("ALTER TABLE users RENAME COLUMN seen TO views") }),
        WrongCase(
            name: "the watermark changes its type", code: 1, words: ["view activity", "seq", "reset the watermark"],
            spoil: { try await $0.execute("UPDATE users SET seq = '2026-01-0' || seq || 'T00:00:00Z'") },
            mend: {
                try await $0.execute("UPDATE users SET seq = CAST(substr(seq, 10, 1) AS INTEGER)")
            }),
        WrongCase(
            name: "a feature changes its type", code: 1,
            words: ["view activity", "column views", "expected int64, found TEXT", "mend the source"],
            spoil: { try await $0.execute("UPDATE users SET views = 'many', seq = seq + 10") },
            mend: { try await $0.execute("UPDATE users SET views = id * 100, seq = seq + 10") }),
        WrongCase(
            name: "changes are not tracked yet", code: 1,
            words: ["tracked", "tidemark source install tracked"],
            spoil: { lab in
                try lab.workdir.write(Lab.trackedDefinitions, to: "definitions/lab.yaml")
                try await lab.expect(["apply"], code: 0)
            },
            mend: { try await $0.expect(["source", "install", "tracked", "--apply"], code: 0) }),
        WrongCase(
            name: "the watermark is set to nonsense", arguments: ["watermark", "set", "activity", "yesterday"],
            code: 2, words: ["yesterday", "tidemark watermark get activity"]),
        WrongCase(
            name: "a version is activated before it is filled", arguments: ["versions", "activate", "activity", "2"],
            code: 2, words: ["version 2 of activity is building"],
            spoil: { lab in
                let text = Lab.definitions.replacing("FROM users", with: "FROM users WHERE id > 0")
                try lab.workdir.write(text, to: "definitions/lab.yaml")
                try await lab.expect(["apply"], code: 0)
            }),
    ]
}
