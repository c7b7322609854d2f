import Glibc
import Testing
import TidemarkTesting

extension Lab {
    /// Renames a file of the project.
    func move(_ from: String, _ to: String) throws {
        guard unsafe rename(workdir.file(from), workdir.file(to)) == 0 else {
            throw Failure(text: "cannot rename \(from): errno \(errno)")
        }
    }

    /// Makes a named pipe that nobody writes to.
    func makePipe(_ name: String) throws {
        guard unsafe mkfifo(workdir.file(name), 0o600) == 0 else { throw Failure(text: "no pipe: errno \(errno)") }
    }

    func remove(_ name: String) {
        _ = unsafe unlink(workdir.file(name))
        _ = unsafe rmdir(workdir.file(name))
    }
}

extension WrongCase {
    /// Whoever is nobody can read less. Root reads everything, so it becomes nobody first.
    private static let asNobody = geteuid() == 0 ? ["/usr/sbin/runuser", "-u", "nobody", "--"] : []

    /// Something stands in the place of a file, which comes back afterwards.
    private static func instead(
        of file: String, _ name: String, code: Int32, words: [String], _ put: @escaping Step
    ) -> WrongCase {
        WrongCase(
            name: name, code: code, words: words,
            spoil: { lab in
                try lab.move(file, "kept")
                try await put(lab)
            },
            mend: { lab in
                lab.remove(file)
                try lab.move("kept", file)
            })
    }

    static let files: [WrongCase] = [
        instead(of: "tidemark.yaml", "no config", code: 2, words: ["tidemark.yaml: the config file is not there"]) {
            _ in
        },
        instead(of: "tidemark.yaml", "the config is a folder", code: 2, words: ["tidemark.yaml", "no regular file"]) {
            lab in unsafe mkdir(lab.workdir.file("tidemark.yaml"), 0o700)
        },
        instead(of: "tidemark.yaml", "the config is a pipe", code: 2, words: ["tidemark.yaml", "no regular file"]) {
            lab in try lab.makePipe("tidemark.yaml")
        },
        instead(
            of: "tidemark.yaml", "the config has 100 MB", code: 2,
            words: ["has 104857600 bytes, more than the 1048576 allowed"]
        ) { lab in
            try lab.workdir.write("", to: "tidemark.yaml")
            unsafe truncate(lab.workdir.file("tidemark.yaml"), 100 << 20)
        },
        WrongCase(
            name: "the config may not be read", code: 2, words: ["can't be read", "check its permissions"],
            prefix: asNobody,
            spoil: { lab in
                unsafe chmod(lab.workdir.path, 0o755)
                unsafe chmod(lab.workdir.file("tidemark.yaml"), 0)
            }, mend: { lab in unsafe chmod(lab.workdir.file("tidemark.yaml"), 0o600) }),
        WrongCase(
            name: "an unknown key in the config", code: 2, words: ["tidemark.yaml:", "did you mean \"telemetry\"?"],
            spoil: { try $0.workdir.write($0.config + "\ntelemetri: {}\n", to: "tidemark.yaml") },
            mend: { try $0.workdir.write($0.config, to: "tidemark.yaml") }),
        WrongCase(
            name: "the config is no YAML", code: 2, words: ["tidemark.yaml:"],
            spoil: { try $0.workdir.write("project: [", to: "tidemark.yaml") },
            mend: { try $0.workdir.write($0.config, to: "tidemark.yaml") }),
        WrongCase(
            name: "an unknown type in a definition", code: 2, words: ["definitions/lab.yaml:13", "int46", "int64"],
            spoil: { lab in
                let wrong = Lab.definitions.split(separator: "\n", omittingEmptySubsequences: false)
                    .joined(separator: "\n").replacing("views: int64", with: "views: int46")
                try lab.workdir.write(wrong, to: "definitions/lab.yaml")
            }, mend: { try $0.workdir.write(Lab.definitions, to: "definitions/lab.yaml") }),
        instead(of: "definitions", "no definitions", code: 2, words: ["definitions", "is not there"]) { _ in },
        WrongCase(
            name: "the password's variable is not set", code: 2, words: ["online_store.password", "LAB_PASSWORD"],
            environment: ["LAB_PASSWORD": ""]),

        instead(
            of: "shop.db", "the source's file is missing", code: 1,
            words: ["view activity", "shop.db", "No such file", "sources.*.url"]
        ) { _ in },
        instead(of: "shop.db", "the source is a pipe", code: 1, words: ["shop.db", "no regular file"]) { lab in
            try lab.makePipe("shop.db")
        },
        instead(of: "shop.db", "the source is no database", code: 1, words: ["not a database", "right file?"]) { lab in
            try lab.workdir.write(String(repeating: "this is no database\n", count: 500), to: "shop.db")
        },
        WrongCase(
            name: "the source may not be read", arguments: ["plan"], code: 2, words: ["can't be read"],
            prefix: asNobody, spoil: { lab in unsafe chmod(lab.workdir.path, 0o700) }),
    ]
}
