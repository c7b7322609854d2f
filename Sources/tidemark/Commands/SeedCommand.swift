import ArgumentParser
import Foundation
import RetailRocket

struct SeedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seed",
        abstract: "Make a synthetic shop in the RetailRocket schema, or let time pass in one.",
        discussion: """
            The same arguments make the same shop. It is a SQLite file with events, item properties, a category tree and \
            the tables a sync reads: user_activity, item_stats, items.

            tidemark seed --out shop.db --users 2000 --items 500 --events 50000
            tidemark seed --out shop.db --continue
            """)

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "The SQLite file.", completion: .file(extensions: ["db", "sqlite"]))
    var out: String

    @Option(name: .long, help: "Users.")
    var users = 2_000

    @Option(name: .long, help: "Items at the start.")
    var items = 500

    @Option(name: .long, help: "Events to make (with --continue: further events, default a twentieth of the first).")
    var events: Int?

    @Option(name: .long, help: "The seed of all randomness.")
    var seed: UInt64 = 42

    @Flag(name: .customLong("continue"), help: "Let time pass in an existing shop: new events, updates, deletes.")
    var continues = false

    @Flag(name: .long, help: "Replace an existing file.")
    var overwrite = false

    func run() async throws {
        try await Console.reporting {
            let progress = ShopProgressLine()
            defer { progress.finish() }
            if continues {
                let advance = try await SyntheticShop.advance(
                    path: out, events: events ?? 2_500, progress: { progress.update($0) })
                progress.finish()
                try output.show(
                    ShopReport(
                        out, events: advance.events, items: advance.items.count, users: advance.users.count,
                        now: advance.now),
                    words: "\(out): \(advance.words)")
            } else {
                var settings = SyntheticShop.Settings()
                settings.users = users
                settings.items = items
                settings.events = events ?? 50_000
                settings.seed = seed
                let report = try await SyntheticShop.create(
                    path: out, settings: settings, overwrite: overwrite, progress: { progress.update($0) })
                progress.finish()
                try output.show(
                    ShopReport(
                        out, events: report.events, items: report.items, properties: report.itemProperties,
                        now: report.now),
                    words:
                        "\(out): \(Words.count(Int64(report.events))) events, \(Words.count(Int64(report.items))) items, "
                        + "\(Words.count(Int64(report.itemProperties))) item properties; simulated now "
                        + Words.time(report.now * 1_000))
            }
        }
    }
}

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Import real data.", subcommands: [RetailRocketCommand.self])

    struct RetailRocketCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "retailrocket",
            abstract: "Import the CSV files of the RetailRocket dump.",
            discussion: """
                The folder holds events.csv, item_properties_part1.csv, item_properties_part2.csv and category_tree.csv as \
                they are published. The result has the tables that `seed` makes.
                """)

        @OptionGroup var output: OutputOptions

        @Argument(help: "The folder of the CSV files.", completion: .directory)
        var folder: String

        @Option(name: .long, help: "The SQLite file.", completion: .file(extensions: ["db", "sqlite"]))
        var out: String

        @Flag(name: .long, help: "Replace an existing file.")
        var overwrite = false

        func run() async throws {
            try await Console.reporting {
                let progress = ShopProgressLine()
                defer { progress.finish() }
                let report = try await RetailRocketImport.run(
                    folder: folder, out: out, overwrite: overwrite, progress: { progress.update($0) })
                progress.finish()
                for problem in report.problems { Console.note("left out: \(problem)") }
                for file in report.files where file.badRows > 0 {
                    Console.note("\(file.name): \(file.rows) rows taken, \(file.badRows) left out")
                }
                try output.show(
                    ShopReport(
                        out, events: report.events, items: report.items, users: report.users,
                        properties: report.itemProperties, now: report.now, problems: report.problems,
                        files: report.files.map { .init(name: $0.name, rows: $0.rows, leftOut: $0.badRows) }),
                    words:
                        "\(out): \(Words.count(Int64(report.events))) events of \(Words.count(Int64(report.users))) users, "
                        + "\(Words.count(Int64(report.items))) items, \(Words.count(Int64(report.itemProperties))) item "
                        + "properties; the shop's now is \(Words.time(report.now * 1_000))")
                if report.files.contains(where: { $0.badRows > 0 }) { throw Ending.differs }
            }
        }
    }
}

/// What a shop has, or what a step in its time brought: rows.
private struct ShopReport: Encodable {
    let out: String
    let events: Int
    let items: Int
    let users: Int?
    let itemProperties: Int?
    /// The shop's now.
    let now: String
    /// Rows that were left out, at most some.
    let problems: [String]?
    /// Of each file all rows, taken or left out.
    let files: [File]?

    struct File: Encodable {
        let name: String
        let rows: Int
        let leftOut: Int
    }

    init(
        _ out: String, events: Int, items: Int, users: Int? = nil, properties: Int? = nil, now: Int64,
        problems: [String]? = nil, files: [File]? = nil
    ) {
        (self.out, self.events, self.items, self.users) = (out, events, items, users)
        (itemProperties, self.now, self.problems, self.files) = (properties, Words.time(now * 1_000), problems, files)
    }
}

extension Advance {
    /// What passed, in one sentence.
    fileprivate var words: String {
        "\(Words.count(Int64(events))) events; \(users.count) users and \(items.count) items changed, "
            + "\(forgotten.count) users forgotten; simulated now \(Words.time(now * 1_000))"
    }
}

/// One progress line a stage of a long load.
final class ShopProgressLine: Sendable {
    private let reporter = StageLines()

    func update(_ progress: ShopProgress) {
        reporter.line(progress.stage.rawValue).update(
            Int64(progress.done), of: progress.total > 0 ? Int64(progress.total) : nil)
    }

    func finish() {
        reporter.finish()
    }
}
