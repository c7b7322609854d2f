package import FeatureModel

/// What another config means for a daemon that runs already.
package enum ConfigChange {
    /// The keys that count from the next start only, and differ. Keys of other services and of the definitions count nowhere
    /// in a serving daemon.
    package static func waitingForRestart(from started: Config, to config: Config) -> [String] {
        let keys = restartKeys + (started.serve.grpc == nil ? [] : grpcKeys)
        return keys.filter { $0.differs(started, config) }.map(\.name)
    }

    private struct Key: Sendable {
        let name: String
        let differs: @Sendable (Config, Config) -> Bool

        init<Value: Equatable & SendableMetatype>(_ name: String, _ value: @escaping @Sendable (Config) -> Value) {
            self.name = name
            differs = { value($0) != value($1) }
        }

        /// Less counts at once, more doesn't.
        init(growing name: String, _ value: @escaping @Sendable (Config) -> Duration) {
            self.name = name
            differs = { value($0) < value($1) }
        }
    }

    private static let restartKeys = [
        Key("project") { $0.project },
        Key("online_store") { $0.onlineStore },
        Key("models") { $0.models },
        Key("serve.http") { $0.serve.http },
        Key("serve.grpc") { $0.serve.grpc },
        Key("serve.tls") { $0.serve.tls != nil },
        Key("serve.feast") { $0.serve.feast },
        Key("serve.threads") { $0.serve.threads },
        Key("serve.limits.connections") { $0.serve.limits.connections },
        Key("admin.http") { $0.admin?.http },
        Key("admin.tls") { $0.admin?.tls != nil },
        Key("admin.audit") { $0.admin?.audit },
        Key("admin.state") { $0.admin?.state },
        Key("exposures") { $0.exposures },
        Key("events") { $0.events },
        Key("telemetry.log_format") { $0.telemetry.logFormat },
        Key("telemetry.traces.endpoint") { $0.telemetry.traces.endpoint },
        Key("telemetry.traces.headers") { $0.telemetry.traces.headers },
        Key("telemetry.traces.timeout") { $0.telemetry.traces.timeout },
        // How long a stop may take in all is settled at the start.
        Key(growing: "serve.unready") { $0.serve.unready },
        Key(growing: "serve.drain") { $0.serve.drain },
    ]

    /// What the gRPC listener keeps from its start, though HTTP goes by it at once.
    private static let grpcKeys = [
        Key("serve.limits.body") { $0.serve.limits.body },
        Key("serve.client.idle") { $0.serve.client.idle },
    ]
}
