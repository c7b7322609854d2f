package import ServiceLifecycle

/// Listeners that hear of a graceful shutdown at the same time: in a group of their own services would be told one after the other, and
/// while one let its requests end the others would hold connections that nobody takes.
///
/// It ends when all of them have, and with the first that fails.
package struct ListenerGroup: Service {
    private let listeners: [any Service]

    /// Runs these.
    package init(_ listeners: [any Service]) {
        self.listeners = listeners
    }

    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for listener in listeners { tasks.addTask { try await listener.run() } }
            // One that ends by itself ends the daemon; one that was told to has ended in good order.
            for try await _ in tasks where !Task.isShuttingDownGracefully { tasks.cancelAll() }
        }
    }
}
