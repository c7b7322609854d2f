/// What happens to the processes of a nemesis run.
enum Fault: String, CaseIterable, Sendable {
    /// `kill -9` of a service.
    case killService
    /// SIGTERM of a service, which must end with code 0.
    case stopService
    /// A service stands still for longer than its lease, and goes on.
    case pauseService
    /// Another process builds a new version of a view while the services sync.
    case backfill
    /// A process verifies and repairs beside the services.
    case repair
    case pauseRedis
    /// Redis dies and comes back empty.
    case emptyRedis
    /// Redis dies and comes back as it was when it last saved.
    case oldRedis
    /// Redis saves: what `oldRedis` goes back to.
    case saveRedis
    case flushScripts
    case killClients
    /// Writes fail for lack of memory.
    case fillRedis
    /// Redis is a replica for a while.
    case demoteRedis
    /// The source restarts as after a crash.
    case restartSource
    /// A long transaction, whose changes have their place in the order of those that overtake it.
    case lateCommit

    /// Whether what the store had acknowledged may be gone.
    var losesRows: Bool { self == .emptyRedis || self == .oldRedis }

    /// How often it comes, among all of them.
    var weight: Int {
        switch self {
        case .killService: 6
        case .pauseService, .stopService, .lateCommit: 3
        case .saveRedis, .oldRedis, .restartSource: 2
        default: 1
        }
    }
}
