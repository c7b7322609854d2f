package import FeatureModel

/// What another config means for a daemon that runs already.
package enum ConfigChange {
    /// The keys that count from the next start only, and differ. Keys of other services and of the definitions count nowhere
    /// in a serving daemon.
    package static func waitingForRestart(from started: Config, to config: Config) -> [String] {
        restartKeys.filter { $0.differs(started, config) }.map(\.name)
    }

    private struct Key: Sendable {
        let name: String
        let differs: @Sendable (Config, Config) -> Bool

        init<Value: Equatable & SendableMetatype>(_ name: String, _ value: @escaping @Sendable (Config) -> Value) {
            self.name = name
            differs = { value($0) != value($1) }
        }
    }

    private static let restartKeys = [
        Key("project") { $0.project },
        Key("online_store") { $0.onlineStore },
        Key("models") { $0.models },
        Key("serve.http") { $0.serve.http },
        Key("serve.tls") { $0.serve.tls != nil },
        Key("serve.feast") { $0.serve.feast },
        Key("serve.threads") { $0.serve.threads },
        Key("serve.limits.connections") { $0.serve.limits.connections },
        Key("admin.http") { $0.admin?.http },
        Key("admin.tls") { $0.admin?.tls != nil },
        Key("admin.audit") { $0.admin?.audit },
        Key("admin.state") { $0.admin?.state },
        Key("telemetry.log_format") { $0.telemetry.logFormat },
        Key("telemetry.traces.endpoint") { $0.telemetry.traces.endpoint },
        Key("telemetry.traces.headers") { $0.telemetry.traces.headers },
        Key("telemetry.traces.timeout") { $0.telemetry.traces.timeout },
    ]
}
