import OnlineStore

/// A chunk on its way into the store, and the state that holds once it and all before it are there.
struct FlyingChunk: Sendable {
    let encoded: EncodedChunk
    let stateAfter: MarkerState
    /// Change records or entities it stands for.
    let readCount: Int
    /// How many entities were listed as erased when it was packed.
    let erasedCount: Int
}

/// A chunk that the store acknowledged.
struct WrittenChunk: Sendable {
    let index: Int
    let outcomes: [WriteOutcome]
    /// How many entities were listed as erased once its rows were in the store.
    let erasedCount: Int
}

/// Chunks in flight: added in reading order, acknowledged in any order, handed on in reading order.
struct ChunkFlight {
    private var chunks: [Int: FlyingChunk] = [:]
    private var acknowledged: [Int: WrittenChunk] = [:]
    private var nextIndex = 0
    private var nextReady = 0

    /// How many chunks were added and not yet handed on.
    var count: Int { chunks.count }

    mutating func add(_ chunk: FlyingChunk) -> Int {
        defer { nextIndex += 1 }
        chunks[nextIndex] = chunk
        return nextIndex
    }

    /// Notes an acknowledgement; returns the chunks that all chunks before them are acknowledged of.
    mutating func acknowledge(_ written: WrittenChunk) -> [(chunk: FlyingChunk, written: WrittenChunk)] {
        acknowledged[written.index] = written
        var ready: [(chunk: FlyingChunk, written: WrittenChunk)] = []
        while let written = acknowledged.removeValue(forKey: nextReady),
            let chunk = chunks.removeValue(forKey: nextReady)
        {
            ready.append((chunk, written))
            nextReady += 1
        }
        return ready
    }
}

/// What a task of the pump comes back with.
enum PumpEvent: Sendable {
    case written(WrittenChunk)
    case marked
}

/// Which settled chunks have a marker: one marker on its way at a time, the next stands for all that were settled meanwhile.
struct MarkFlight {
    private var waiting = 0
    private var onTheirWay = 0

    /// Chunks settled whose marker isn't acknowledged.
    var unmarked: Int { waiting + onTheirWay }

    mutating func settled(_ chunks: Int) {
        waiting += chunks
    }

    /// Whether a marker has to be sent now.
    mutating func begin() -> Bool {
        guard onTheirWay == 0, waiting > 0 else { return false }
        (onTheirWay, waiting) = (waiting, 0)
        return true
    }

    mutating func acknowledged() {
        onTheirWay = 0
    }
}
