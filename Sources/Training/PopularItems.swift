/// What most events of the last week before a time were about: what any pipeline must be better than.
struct PopularItems {
    /// Best first.
    let ranking: [UInt32]
    private let counts: [Float]

    /// Microseconds.
    static let window: Int64 = 7 * 86_400 * 1_000_000

    init(_ log: EventLog, before time: Int64) {
        var counts = [Float](repeating: 0, count: log.items.count)
        for event in log.events where event.time < time && event.time >= time - Self.window {
            counts[Int(event.item)] += 1
        }
        ranking = counts.indices.filter { counts[$0] > 0 }.sorted { (counts[$0], $1) > (counts[$1], $0) }.prefix(1_000)
            .map { UInt32($0) }
        self.counts = counts
    }

    /// How many events an item had.
    func count(_ item: UInt32) -> Float { Int(item) < counts.count ? counts[Int(item)] : 0 }

    /// The ranking for a moment.
    func ranking(_ moment: Moment) -> [UInt32] {
        let known = Set(moment.recent)
        return ranking.filter { !known.contains($0) }
    }
}
