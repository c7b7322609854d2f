/// What a ranker scores: one row a candidate, one column an input of the model.
package struct FeatureMatrix: Sendable {
    package let rows: Int
    package let columns: Int
    /// Row after row; NaN where a value is missing. `rows * columns` long.
    package var values: [Float]

    /// A matrix in which every value is missing.
    package init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        values = Array(repeating: .nan, count: rows * columns)
    }

    /// One value; NaN where it is missing.
    package subscript(row: Int, column: Int) -> Float {
        get { values[row * columns + column] }
        set { values[row * columns + column] = newValue }
    }

    /// Sets a column, row by row; where there is no number the value stays as it is.
    package mutating func setColumn(_ column: Int, _ number: (_ row: Int) -> Float?) {
        // The memory is made sure of once, not for each value.
        let (rows, width) = (rows, columns)
        var span = values.mutableSpan
        for row in 0..<rows {
            if let number = number(row) { span[row * width + column] = number }
        }
    }
}
