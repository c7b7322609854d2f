/// What an answer of 200 holds.
struct AnswerCheck {
    /// Values that are there, each that of the entity asked for.
    var present = 0
    /// Values said to be missing.
    var missing = 0
    /// Values said to have failed.
    var failed = 0
    /// Whether the body isn't an answer to the request: another number of rows or values, another entity's value, a status
    /// that contradicts its value.
    var isWrong = false

    /// Reads the body of `/v1/lookup` for requests of integers alone.
    init(_ body: Span<UInt8>, ids: [Int], _ requests: Requests) {
        var cursor = Cursor()
        guard cursor.skip(body, past: "\"rows\":[") else {
            isWrong = true
            return
        }
        for (row, id) in ids.enumerated() where !isWrong {
            if row > 0, !cursor.take(body, ",") { isWrong = true }
            readRow(body, &cursor, id, requests)
        }
        if !cursor.take(body, "]") { isWrong = true }
    }

    private mutating func readRow(_ body: Span<UInt8>, _ cursor: inout Cursor, _ id: Int, _ requests: Requests) {
        let count = requests.views * requests.features
        guard cursor.take(body, "{\"values\":[") else { return isWrong = true }
        var nulls = 0
        for place in 0..<count {
            if place > 0, !cursor.take(body, ",") { return isWrong = true }
            if cursor.take(body, "null") {
                nulls += 1
            } else if cursor.integer(body) == requests.value(id, place) {
                present += 1
            } else {
                return isWrong = true
            }
        }
        guard cursor.take(body, "]") else { return isWrong = true }
        if cursor.take(body, ",\"statuses\":[") {
            for place in 0..<count {
                if place > 0, !cursor.take(body, ",") { return isWrong = true }
                if cursor.take(body, "\"FAILED\"") {
                    failed += 1
                    nulls -= 1
                } else if cursor.take(body, "\"NOT_FOUND\"") {
                    missing += 1
                    nulls -= 1
                } else if !cursor.take(body, "\"PRESENT\"") {
                    return isWrong = true
                }
            }
            guard cursor.take(body, "]") else { return isWrong = true }
        }
        // None of the rows has a null: each must have a status of its own.
        if nulls != 0 || !cursor.take(body, "}") { isWrong = true }
    }
}
