import ArgumentParser
import Serving

struct AdminCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin", abstract: "Prepare access to the admin listener.", subcommands: [NewToken.self])

    struct NewToken: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "token", abstract: "Make a bearer token and print it once, with its hash for the config.",
            discussion: """
                The token goes to whoever is to use it; only its SHA-256 belongs into the config, itself or in a variable \
                or a file that the config names. Nothing keeps the token: lost, it is replaced by a new one.

                tidemark admin token
                curl -s localhost:6567/admin/v1/status -H "Authorization: Bearer $TOKEN"
                """)

        struct Report: Encodable {
            let token: String
            let sha256: String
        }

        @OptionGroup var output: OutputOptions

        @Option(name: .long, help: "The name in the lines for the config.")
        var name = "ops"

        func run() throws {
            let token = AdminToken.make()
            let hash = AdminToken.sha256(token)
            if output.json { return try Console.json(Report(token: token, sha256: hash)) }
            print(token)
            Console.note(
                """
                The token is above, for its user alone. In the config:

                  admin: {tokens: [{name: \(name), sha256: \(hash), scopes: [operate]}]}
                """)
        }
    }
}
