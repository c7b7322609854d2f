/// Columns of text, aligned, with a heading.
struct Table {
    private let heading: [String]
    private var rows: [[String]] = []
    /// Columns that hold numbers, aligned right.
    private let numbers: Set<Int>

    init(_ heading: [String], numbers: Set<Int> = []) {
        self.heading = heading
        self.numbers = numbers
    }

    mutating func add(_ row: [String]) {
        rows.append(row)
    }

    var text: String {
        let widths = heading.indices.map { column in
            ([heading] + rows).map { $0[column].count }.max() ?? 0
        }
        return ([heading] + rows).map { row in
            let cells = row.indices.map { column in
                let gap = String(repeating: " ", count: widths[column] - row[column].count)
                return numbers.contains(column) ? gap + row[column] : row[column] + gap
            }
            var line = cells.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}
