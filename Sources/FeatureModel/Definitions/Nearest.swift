/// Finds the word somebody probably meant.
package enum Nearest {
    /// For the end of an error: `; did you mean X?`, or the known words where none is near, or nothing where there are none.
    package static func hint(_ misspelt: String, among words: [String]) -> String {
        if let near = word(to: misspelt, among: words) { return "; did you mean \(near)?" }
        return words.isEmpty ? "" : "; there are: \(words.sorted().prefix(20).joined(separator: ", "))"
    }

    /// For an error about a key that `whole` lacks: the nearest of the names that are there and are no keys, put right; or that the key,
    /// which is `role` there, is missing.
    package static func missing(_ key: String, _ role: String = "", of whole: String, among others: [String]) -> String
    {
        if let near = word(to: key, among: others) { return "\(near) is no key of \(whole); did you mean \(key)?" }
        let found = others.sorted().prefix(20).joined(separator: ", ")
        return "\(whole) has no \(key)\(role)" + (found.isEmpty ? "" : "; it has: \(found)")
    }

    /// The nearest of `words` to a misspelt one, or `nil` when none is near: more than 2 edits and more than a third of
    /// its length away (1 edit in words of up to 3 letters). Case doesn't count. Linear in the number of words.
    static func word(to misspelt: String, among words: [String]) -> String? {
        let wanted = Array(misspelt.lowercased().unicodeScalars.prefix(maximumLength))
        guard !wanted.isEmpty else { return nil }
        let limit = wanted.count <= 3 ? 1 : max(2, wanted.count / 3)
        var best: (word: String, distance: Int)?
        for word in words {
            let candidate = Array(word.lowercased().unicodeScalars.prefix(maximumLength))
            guard abs(candidate.count - wanted.count) <= limit else { continue }
            let distance = distance(wanted, candidate)
            if distance <= limit, distance < candidate.count, distance < best?.distance ?? .max {
                best = (word, distance)
            }
        }
        return best?.word
    }

    private static let maximumLength = 64

    /// Insertions, deletions, replacements and swaps of neighbours (Damerau's distance in its restricted form).
    static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for i in 1...left.count {
            var row = [i]
            row.reserveCapacity(right.count + 1)
            for j in 1...right.count {
                let replaced = last[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1)
                var cost = min(replaced, last[j] + 1, row[j - 1] + 1)
                if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
                    cost = min(cost, beforeLast[j - 2] + 1)
                }
                row.append(cost)
            }
            beforeLast = last
            last = row
        }
        return last[right.count]
    }
}
