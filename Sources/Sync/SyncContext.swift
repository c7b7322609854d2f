package import OnlineStore

/// What all passes of a project share.
package struct SyncContext: Sendable {
    package let project: String
    package let store: any OnlineStore
    package let settings: SyncSettings
    package let time: SyncTime
    package let observer: any SyncObserver
    package let quarantine: Quarantine
    package let erasures: Erasures
    package let ledger: Ledger
    package let catalog: CatalogStore

    package init(
        project: String, store: any OnlineStore, settings: SyncSettings, time: SyncTime, observer: any SyncObserver
    ) {
        self.project = project
        self.store = store
        self.settings = settings
        self.time = time
        self.observer = observer
        quarantine = Quarantine(store, limit: settings.quarantineLimit)
        erasures = Erasures(store, project: project)
        ledger = Ledger(store)
        catalog = CatalogStore(store)
    }

    /// The same with one observer more.
    func observed(by other: any SyncObserver) -> SyncContext {
        SyncContext(
            project: project, store: store, settings: settings, time: time,
            observer: SyncObservers([observer, other]))
    }
}
