import ArgumentParser

/// The parts of `ops/faults` that must be quick: who asks, what stands between the daemon and its dependencies, and a server that
/// scores.
@main
struct LookupLoad: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lookup-load",
        abstract: "Asks a serving daemon, checks what it says, and is a bad network before what it depends on.",
        subcommands: [AskCommand.self, ProxyCommand.self, RankCommand.self])
}

/// Why the run cannot go on.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
