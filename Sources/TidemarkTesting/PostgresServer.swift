import Dispatch
package import Extraction
import Glibc
import LocalDatabase
import Synchronization

/// A PostgreSQL server of the tests' own: a fresh cluster in a temporary directory, reachable by unix socket alone.
///
/// A watchdog process holds the other end of a pipe: when the tests end, by whatever means, it kills the server and
/// removes the directory. Root runs the server as `postgres`.
package actor PostgresServer {
    /// The directory of socket and data.
    nonisolated package let directory: String
    private let binaries: String
    /// Closing it ends the server and removes the directory.
    private var leash: Int32

    /// Whether PostgreSQL is installed here. Says so once when it isn't, since its tests are then skipped.
    package static let isAvailable: Bool = {
        let isThere = binaryDirectory != nil
        if !isThere { print("PostgreSQL is not installed: its tests are SKIPPED") }
        return isThere
    }()

    /// A URL of a database on this server.
    nonisolated package func url(database: String = "postgres", user: String = "postgres") -> String {
        "host='\(directory)' dbname='\(database)' user='\(user)'"
    }

    /// Makes a cluster and starts it.
    package static func start() async throws -> PostgresServer {
        guard let binaries = binaryDirectory else { throw PostgresServerError("PostgreSQL is not installed") }
        var template = Array("/tmp/tidemark-pg-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw PostgresServerError("no temporary directory") }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let server = PostgresServer(directory, binaries, leash: try watch(directory))
        try await server.initialize()
        return server
    }

    private static let sharedServer = Mutex<Task<PostgresServer, any Error>?>(nil)

    /// One server for all tests of this process that don't stop it.
    package static func shared() async throws -> PostgresServer {
        let task = sharedServer.withLock { task in
            let present = task ?? Task { try await start() }
            task = present
            return present
        }
        return try await task.value
    }

    private init(_ directory: String, _ binaries: String, leash: Int32) {
        self.directory = directory
        self.binaries = binaries
        self.leash = leash
    }

    private static let databaseCount = Atomic<Int>(0)

    /// Makes an empty database and returns its URL.
    package func makeDatabase() async throws -> String {
        let name = "test\(Self.databaseCount.add(1, ordering: .relaxed).newValue)"
        let client = try PostgresClient(url: url())
        try await client.run("CREATE DATABASE \(name)")
        await client.close()
        return url(database: name)
    }

    /// Stops the server: in an orderly way, or at once as a crash would.
    package func stop(immediately: Bool = false) async throws {
        try await command(["pg_ctl", "-D", "\(directory)/data", "-w", "-m", immediately ? "immediate" : "fast", "stop"])
    }

    /// Starts a stopped server.
    package func restart() async throws {
        try await command(["pg_ctl", "-D", "\(directory)/data", "-w", "-l", "\(directory)/log", "start"])
    }

    /// Asks every role but `postgres` for its password.
    package func requirePasswords() async throws {
        let rules = "local all postgres trust\nlocal all all scram-sha-256\n"
        try await Self.run(["sh", "-c", "printf %s \"$1\" > \"$0\"", "\(directory)/data/pg_hba.conf", rules])
        try await command(["pg_ctl", "-D", "\(directory)/data", "reload"])
    }

    /// Changes a setting of a stopped server, as in `track_commit_timestamp=on`.
    package func set(_ setting: String) async throws {
        try await Self.run(["sh", "-c", "echo \"$1\" >> \"$0\"", "\(directory)/data/postgresql.conf", setting])
    }

    /// Keeps a copy of a stopped server's data.
    package func saveCopy() async throws {
        try await Self.run(["cp", "-a", "\(directory)/data", "\(directory)/copy"])
    }

    /// Puts the copy in the place of a stopped server's data; promoted, so that it starts a timeline of its own, or not.
    package func restoreCopy(promoted: Bool) async throws {
        try await Self.run(["rm", "-rf", "\(directory)/data"])
        try await Self.run(["cp", "-a", "\(directory)/copy", "\(directory)/data"])
        guard promoted else { return }
        try await set("restore_command='false'")
        try await Self.run(["cp", "-a", "\(directory)/data/PG_VERSION", "\(directory)/data/recovery.signal"])
    }

    /// Freezes the server and all its sessions (SIGSTOP).
    package func freeze() throws {
        for process in try processes() { kill(process, SIGSTOP) }
    }

    /// Lets a frozen server go on.
    package func thaw() throws {
        for process in try processes() { kill(process, SIGCONT) }
    }

    /// Kills the server and removes its directory.
    package func discard() {
        guard leash >= 0 else { return }
        close(leash)
        leash = -1
    }

    private func initialize() async throws {
        if getuid() == 0 { try await Self.run(["chown", "postgres", directory]) }
        try await command([
            "initdb", "-D", "\(directory)/data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync",
        ])
        let settings = [
            "listen_addresses=''", "unix_socket_directories='\(directory)'", "fsync=off", "wal_level=logical",
            "max_prepared_transactions=10", "max_connections=100", "autovacuum=off", "lc_messages='C'",
        ]
        for setting in settings {
            try await set(setting)
        }
        try await restart()
    }

    /// The postmaster and its children.
    private func processes() throws -> [pid_t] {
        guard let text = readFile("\(directory)/data/postmaster.pid"),
            let postmaster = text.split(separator: "\n").first.flatMap({ pid_t($0) })
        else { throw PostgresServerError("the server is not running") }
        let children = readFile("/proc/\(postmaster)/task/\(postmaster)/children") ?? ""
        return [postmaster] + children.split(separator: " ").compactMap { pid_t($0) }
    }

    private func command(_ arguments: [String]) async throws {
        let asUser = getuid() == 0 ? ["runuser", "-u", "postgres", "--"] : []
        try await Self.run(asUser + ["\(binaries)/\(arguments[0])"] + arguments.dropFirst())
    }
}

/// What went wrong with the fixture itself.
package struct PostgresServerError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

// MARK: Processes

extension PostgresServer {
    private static let binaryDirectory: String? = {
        for version in stride(from: 20, through: 14, by: -1) {
            let directory = "/usr/lib/postgresql/\(version)/bin"
            if unsafe access("\(directory)/initdb", X_OK) == 0 { return directory }
        }
        return nil
    }()

    /// Starts the watchdog; returns the end of the pipe that holds it back.
    private static func watch(_ directory: String) throws -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw PostgresServerError("no pipe") }
        // Only this process may hold the writing end, or the watchdog would wait for its children too.
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
        let script = """
            read -r line; pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null)
            if [ -n "$pid" ]; then kill -CONT "$pid" 2>/dev/null; kill -QUIT "$pid" 2>/dev/null
            for child in $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do kill -KILL "$child" 2>/dev/null; done
            n=0; while kill -0 "$pid" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
            kill -KILL "$pid" 2>/dev/null; fi
            rm -rf "$0"
            """
        // A child of nobody here: an exit test waits for any child, and an ended one that nobody asks for would hold it up.
        let launcher = try spawn(
            ["sh", "-c", "exec 3<&0; setsid sh -c \"$1\" \"$2\" <&3 3<&- &", "sh", script, directory], input: ends[0])
        close(ends[0])
        var status: Int32 = 0
        while unsafe waitpid(launcher, &status, 0) < 0, errno == EINTR {}
        return ends[1]
    }

    /// Runs a program to its end.
    private static func run(_ arguments: [String]) async throws {
        let status = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Int32, any Error>) in
            DispatchQueue.global().async {
                do {
                    let process = try spawn(arguments, input: nil)
                    var status: Int32 = 0
                    while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
                    continuation.resume(returning: status)
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
        guard status == 0 else { throw PostgresServerError("\(arguments) ended with \(status)") }
    }

    private static func spawn(_ arguments: [String], input: Int32?) throws -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        if let input {
            unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        for descriptor in [Int32(1), 2] {
            unsafe posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
        }
        var texts: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe texts.append(nil)
        defer { unsafe texts.forEach { unsafe free($0) } }
        var process: pid_t = 0
        let status = unsafe posix_spawnp(&process, arguments[0], &actions, nil, texts, environ)
        guard status == 0 else { throw PostgresServerError("can't start \(arguments[0]): \(status)") }
        return process
    }

    private nonisolated func readFile(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }
}

/// A session for tests: runs SQL and returns texts, on a queue of its own.
package actor PostgresClient {
    nonisolated private let executor = QueueExecutor(label: "tidemark.postgres.test")
    private var session: PostgresSession

    nonisolated package var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    package init(url: String) throws {
        session = PostgresSession(try PostgresTarget(url: url))
    }

    /// Runs one statement.
    @discardableResult
    package func run(_ sql: String, _ parameters: [String?] = []) throws(ExtractionError) -> [[String?]] {
        do {
            return try session.rows(sql, parameters, deadline: .now + .seconds(60))
        } catch {
            throw error.error
        }
    }

    /// Runs statements one after the other.
    package func run(all statements: [String]) throws(ExtractionError) {
        for statement in statements { try run(statement) }
    }

    /// Ends the session.
    package func close() {
        session.disconnect()
    }
}
