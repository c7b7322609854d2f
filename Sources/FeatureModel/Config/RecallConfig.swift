/// The recall lists: what is built, from what, and where the artifacts lie.
package struct RecallConfig: Hashable, Sendable {
    /// The folder of the artifacts; relative paths count from the config's folder.
    package let directory: String
    /// How many versions of a list are kept, the live one included.
    package let keep: Int
    /// How often the daemon looks for a new version.
    package let refresh: Duration
    /// The most bytes of all loaded lists together; while one is swapped both of its versions count.
    package let maximumBytes: Int
    /// In the order of the file.
    package let lists: [RecallListConfig]

    package init(
        directory: String = "recall", keep: Int = 3, refresh: Duration = .seconds(2), maximumBytes: Int = 1 << 30,
        lists: [RecallListConfig]
    ) {
        self.directory = directory
        self.keep = keep
        self.refresh = refresh
        self.maximumBytes = maximumBytes
        self.lists = lists
    }

    /// The list of that name, if there is one.
    package func list(_ name: String) -> RecallListConfig? {
        lists.first { $0.name == name }
    }
}

/// How a list finds its items.
package enum RecallKind: String, CaseIterable, Sendable, Codable {
    /// What most events are about, newer ones counting more.
    case popularity
    /// What has more events lately than its share before would let expect.
    case trending
    /// What came last.
    case newest
    /// What the same users met within a session: neighbours of an item.
    case coOccurrence = "co_occurrence"
    /// What lies near in a space of item vectors: neighbours of an item.
    case vectors

    /// Whether it has neighbours of items; else it has the best items, as a whole and by segment.
    package var hasNeighbours: Bool {
        switch self {
        case .popularity, .trending, .newest: false
        case .coOccurrence, .vectors: true
        }
    }
}

/// One recall list.
package struct RecallListConfig: Hashable, Sendable {
    package let name: String
    package let kind: RecallKind
    /// The source's name.
    package let from: String
    /// One SELECT without parameters: one row an event (an item, for `newest` and for vectors that are there already).
    package let query: String
    /// The entity whose key column names the user; `nil` where users don't matter.
    package var user: String?
    /// The entity whose key column names the item.
    package let item: String
    /// When the event happened; `nil` only for vectors of a column.
    package var time: TimeColumn?
    /// The column of an event's weight; each counts 1 where `nil`.
    package var weight: String?
    /// The column by whose values there are lists beside the whole one.
    package var segment: String?
    /// How far back from the newest event of the source events count; all of them where `nil`.
    package var window: Duration?
    /// The newest part of the window, which is held against the rest of it: trending only.
    package var short = Duration.seconds(86_400)
    /// The age at which an event counts half; no decay where `nil`.
    package var halfLife: Duration?
    /// The longest time between two events of one user that count together.
    package var session = Duration.seconds(3_600)
    /// Added to the denominator of the cosine, so that few meetings prove little.
    package var shrink = 10.0
    /// How many items the list has (each segment's too), or how many neighbours each item.
    package let size: Int
    /// How long starting the query, and each page of it, may take; the source's statement timeout where `nil`.
    package var timeout: Duration?
    package var limits = RecallLimits()
    package var vectors = VectorConfig()

    package init(name: String, kind: RecallKind, from: String, query: String, item: String, size: Int? = nil) {
        self.name = name
        self.kind = kind
        self.from = from
        self.query = query
        self.item = item
        self.size = size ?? Self.defaultSize(kind)
    }

    /// 500 items, or 50 neighbours.
    package static func defaultSize(_ kind: RecallKind) -> Int { kind.hasNeighbours ? 50 : 500 }
}

/// What a build holds in memory at most. What is left out for a limit is reported.
package struct RecallLimits: Hashable, Sendable {
    /// Events of a build that needs them all at once, the newest: 16 bytes each, and as much again to sort them.
    package var events = 20_000_000
    /// Events of one user that count, the newest.
    package var history = 500
    /// Distinct items; more end the build.
    package var items = 5_000_000
    /// Segments beside the whole, those with the most events.
    package var segments = 1_000

    package init() {}
}

/// Vectors of items: made by factorizing who met what, or read from a column.
package struct VectorConfig: Hashable, Sendable {
    /// The column that holds them; `nil` where they are made here.
    package var column: String?
    package var dimension = 64
    /// Rounds of alternating least squares.
    package var iterations = 10
    /// The ridge of each least-squares problem.
    package var regularization = 0.05
    /// How much a meeting counts beside one that never was (the alpha of Hu, Koren and Volinsky).
    package var confidence = 20.0

    package init() {}
}
