import ArgumentParser

/// The two halves of `ops/faults` that must be quick: who asks, and what stands between the daemon and Redis.
@main
struct LookupLoad: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lookup-load",
        abstract: "Asks a serving daemon for rows whose values it knows, and stands as a bad network before Redis.",
        subcommands: [AskCommand.self, ProxyCommand.self])
}

/// Why the run cannot go on.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
