import ArgumentParser
import Glibc
import NIOCore
import RedisClient
import TidemarkTesting

struct ProxyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "A fault proxy in front of a server; lines of standard input change what it does.",
        discussion: """
            pass, delay MILLISECONDS, silent, reset, refuse, bytewise, cut BYTES. Each line is answered with a line when it is \
            in force; the end of the input ends it.
            """)

    @Option(help: "The port of 127.0.0.1 where the server listens.")
    var to: Int

    func run() throws {
        let proxy = try FaultProxy(to: .host("127.0.0.1", port: to))
        say("listening on 127.0.0.1:\(proxy.port)")
        while let line = readLine() {
            guard let mode = Self.mode(line.split(separator: " ")) else {
                say("unknown: \(line)")
                continue
            }
            try proxy.change(to: mode).wait()
            say("ok \(line)")
        }
    }

    private static func mode(_ words: [Substring]) -> FaultProxy.Mode? {
        let number = words.count == 2 ? Int(words[1]).flatMap { (0...1_000_000).contains($0) ? $0 : nil } : nil
        switch (words.first, number) {
        case ("pass", nil): return .pass
        case ("delay", let number?): return .delay(.milliseconds(Int64(number)))
        case ("silent", nil): return .silent
        case ("reset", nil): return .reset
        case ("refuse", nil): return .refuse
        case ("bytewise", nil): return .bytewise
        case ("cut", let number?): return .cut(afterBytes: number)
        default: return nil
        }
    }
}

/// Prints a line that whoever reads through a pipe sees at once.
func say(_ line: String) {
    print(line)
    fflush(nil)
}
