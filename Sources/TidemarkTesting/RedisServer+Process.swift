internal import Glibc

/// Starts a program found on the path; its output goes to the file descriptor returned, which the caller closes.
func spawn(_ arguments: [String]) throws -> (pid: pid_t, output: Int32) {
    var ends: [Int32] = [-1, -1]
    // A socket pair, since it alone is born closed on exec: no other child may inherit the writing end.
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
        throw RedisServer.Failure(text: "no socket pair: errno \(errno)")
    }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
    var words = unsafe arguments.map { unsafe strdup($0) } + [nil]
    defer { unsafe words.forEach { unsafe free($0) } }
    var pid = pid_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // Worker threads block signals, and a child inherits that: it would not hear SIGTERM.
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let status = unsafe posix_spawnp(&pid, arguments[0], &actions, &attributes, &words, environ)
    close(ends[1])
    guard status == 0 else {
        close(ends[0])
        throw RedisServer.Failure(text: "cannot start \(arguments[0]): errno \(status)")
    }
    return (pid, ends[0])
}

/// Runs a program to its end; throws with its output unless it succeeds.
func run(_ arguments: [String]) throws {
    let (pid, output) = try spawn(arguments)
    defer { close(output) }
    var text: [UInt8] = []
    while let more = readSome(output), !more.isEmpty { text += more }
    var status: Int32 = 0
    _ = unsafe waitpid(pid, &status, 0)
    guard status == 0 else {
        throw RedisServer.Failure(text: "\(arguments) failed: \(String(decoding: text, as: UTF8.self))")
    }
}

/// Waits until a text appears in what a process writes. `false` when it ends, or is silent for ten seconds.
func waitForText(_ text: String, on descriptor: Int32) -> Bool {
    var seen = ""
    for _ in 0..<1_000 {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&poller, 1, 10_000) > 0, let more = readSome(descriptor), !more.isEmpty else {
            print("the process ended or is silent: \(seen)")
            return false
        }
        seen += String(decoding: more, as: UTF8.self)
        if seen.contains(text) { return true }
    }
    return false
}

/// A port of 127.0.0.1 that nobody listens on right now.
package func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            unsafe bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
        }
    }
    guard status else { throw RedisServer.Failure(text: "no free port: errno \(errno)") }
    return Int(UInt16(bigEndian: address.sin_port))
}

/// A new directory under `/tmp`, short enough for the path of a Unix socket.
func makeTemporaryDirectory() throws -> String {
    var template = Array("/tmp/tidemark-redis-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw RedisServer.Failure(text: "no directory: errno \(errno)") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Writes a file that only its owner may read.
func write(_ text: String, to path: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw RedisServer.Failure(text: "cannot write \(path): errno \(errno)") }
    defer { close(descriptor) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { bytes in unsafe write(descriptor, bytes.baseAddress, bytes.count) }
        guard count > 0 else { throw RedisServer.Failure(text: "cannot write \(path): errno \(errno)") }
        rest = rest.dropFirst(count)
    }
}

/// Makes an authority (`ca.pem`) and a certificate of it for `localhost` and 127.0.0.1 (`server.pem`, `server.key`).
func makeCertificates(in directory: String) throws {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    try run(
        [
            "openssl", "req", "-x509", "-keyout", "\(directory)/ca.key", "-out", "\(directory)/ca.pem", "-subj",
            "/CN=test",
        ]
            + key)
    try run(
        ["openssl", "req", "-keyout", "\(directory)/server.key", "-out", "\(directory)/server.csr"]
            + ["-subj", "/CN=localhost"] + key.dropLast(2))
    try write("subjectAltName=DNS:localhost,IP:127.0.0.1\n", to: "\(directory)/names")
    try run(
        ["openssl", "x509", "-req", "-in", "\(directory)/server.csr", "-CA", "\(directory)/ca.pem"]
            + ["-CAkey", "\(directory)/ca.key", "-CAcreateserial", "-out", "\(directory)/server.pem", "-days", "2"]
            + ["-extfile", "\(directory)/names"])
}

private func readSome(_ descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 4_096)
    let count = unsafe read(descriptor, &buffer, buffer.count)
    return count < 0 ? nil : Array(buffer.prefix(count))
}
