import Glibc

/// Looks at the daemon before and after: what it answers to a request that is as it should be, its memory and its descriptors.
struct Witness {
    /// What went wrong before anything began.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static let request = Array(
        "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n".utf8)

    private let port: Int
    private let pid: Int32?
    private let memoryBefore: Int
    private let descriptorsBefore: Int

    init(port: Int, pid: Int32?) throws {
        self.port = port
        self.pid = pid
        guard Self.isAlive(port) else { throw Failure(description: "no daemon answers on port \(port)") }
        memoryBefore = pid.flatMap { ProcessMemory.read($0)?.now } ?? 0
        descriptorsBefore = pid.map(Self.descriptors) ?? 0
    }

    private static func isAlive(_ port: Int) -> Bool {
        guard let socket = ClientSocket(port: port) else { return false }
        socket.send(request)
        return socket.receive()?.status == 200
    }

    /// What is wrong with the daemon now; prints how it stands.
    func troubles(memoryLimit: Int) -> [String] {
        var troubles: [String] = []
        if !Self.isAlive(port) { troubles.append("the daemon doesn't answer any more") }
        guard let pid else { return troubles }
        // What clients left behind is noticed within seconds.
        var descriptors = Self.descriptors(pid)
        for _ in 0..<40 where descriptors > descriptorsBefore + 16 {
            usleep(250_000)
            descriptors = Self.descriptors(pid)
        }
        guard let memory = ProcessMemory.read(pid) else { return troubles + ["the daemon is gone"] }
        print(
            "the daemon: \(memoryBefore) MiB before, \(memory.now) MiB after, never more than \(memory.peak) MiB; "
                + "\(descriptorsBefore) descriptors before, \(descriptors) after")
        if memory.peak > memoryLimit { troubles.append("the daemon had \(memory.peak) MiB, over \(memoryLimit)") }
        if descriptors > descriptorsBefore + 16 { troubles.append("descriptors are left behind") }
        return troubles
    }

    private static func descriptors(_ pid: Int32) -> Int {
        guard let folder = unsafe opendir("/proc/\(pid)/fd") else { return 0 }
        defer { unsafe closedir(folder) }
        var count = 0
        while unsafe readdir(folder) != nil { count += 1 }
        return count
    }
}
