/// How busy the shop is: the hours of a day, the days of a week. Integers, so that quotas are exact.
struct Rhythm {
    /// Sessions start in slots of this length.
    static let slot: Int64 = 10 * ShopClock.minute

    private static let hours: [UInt64] = [
        9, 6, 4, 3, 3, 4, 7, 12, 17, 21, 23, 24, 24, 23, 22, 23, 25, 28, 31, 33, 32, 27, 20, 14,
    ]
    /// From Monday.
    private static let weekdays: [UInt64] = [105, 108, 108, 106, 99, 82, 92]

    /// The weight of the slot that begins at a time, interpolated between the hours.
    static func weight(at time: Int64) -> UInt64 {
        let inDay = time % ShopClock.day
        let hour = Int(inDay / ShopClock.hour)
        let sixth = UInt64(inDay % ShopClock.hour / slot)
        let level = hours[hour] * (6 - sixth) + hours[(hour + 1) % 24] * sixth
        return level * weekdays[ShopClock.weekday(time)]
    }

    /// The weight of all slots that begin in `start..<end`.
    static func weight(from start: Int64, to end: Int64) -> UInt64 {
        var sum: UInt64 = 0
        var time = start
        while time < end {
            sum += weight(at: time)
            time += slot
        }
        return sum
    }
}

/// How many events belong before the end of each slot of a period. Slots are taken in order.
struct Quota {
    let start: Int64
    let end: Int64
    let events: Int
    /// Events of the shop's first period, and the weight they were spread over.
    private let rate: (events: UInt64, weight: UInt64)
    private var passed: UInt64 = 0

    /// All `events` between two times: the last slot takes what is left over.
    init(start: Int64, end: Int64, events: Int, rate: (events: Int, weight: UInt64)) {
        self.start = start
        self.end = end
        self.events = events
        self.rate = (UInt64(max(1, rate.events)), max(1, rate.weight))
    }

    /// How many events are due before the end of the slot that begins at `time`.
    mutating func due(slotAt time: Int64) -> Int {
        passed += Rhythm.weight(at: time)
        if time + Rhythm.slot >= end { return events }
        return min(events, Int(Self.events(weight: passed, rate)))
    }

    /// The events that a weight stands for at a rate.
    static func events(weight: UInt64, _ rate: (events: UInt64, weight: UInt64)) -> UInt64 {
        let product = weight.multipliedFullWidth(by: rate.events)
        guard product.high < rate.weight else { return .max >> 1 }
        return min(rate.weight.dividingFullWidth(product).quotient, .max >> 1)
    }
}
