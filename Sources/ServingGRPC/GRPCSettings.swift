package import FeatureModel
package import Serving

/// What the gRPC listener goes by for as long as it listens. Budgets and limits of a call are the live `ServerSettings`.
package struct GRPCSettings: Sendable, Hashable {
    /// Where it listens; port 0 takes a free one.
    package var address: NetworkAddress
    /// Bytes of a message.
    package var messageBytes: Int
    /// Calls under way on one connection; more wait at the client.
    package var streamsPerConnection = 256
    /// Calls in all that may wait for their message; more are refused.
    package var callsBeingRead = 4_096
    /// Connections that are open; more are closed at once.
    package var connections: Int
    /// How long a connection may be without a call.
    package var idleTimeout: Duration
    /// After this long a client is asked to connect anew, so that none stays on one daemon for ever.
    package var connectionAge = Duration.seconds(3_600)
    /// How long running calls may take to end after a stop.
    package var drain: Duration
    /// Watches of health that are open; more are refused.
    package var healthWatches = 1_024
    /// How often a watch of health looks.
    package var healthInterval = Duration.milliseconds(100)
    /// As the HTTP listener, at another address.
    package init(_ settings: ServerSettings, address: NetworkAddress) {
        self.address = address
        messageBytes = settings.bodyBytes
        connections = settings.connections
        idleTimeout = settings.idleTimeout
        drain = settings.drain
    }
}
