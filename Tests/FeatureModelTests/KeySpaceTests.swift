import FeatureModel
import Testing

@Suite struct KeySpaceTests {
    private func randomName(_ generator: inout SeededGenerator) -> String {
        let symbols = Array("ab1-_")
        return String(
            (0..<Int.random(in: 1...3, using: &generator)).map { _ in symbols[Int.random(in: 0..<5, using: &generator)]
            })
    }

    private func randomSpace(_ generator: inout SeededGenerator) -> KeySpace {
        KeySpace(
            project: randomName(&generator), viewKey: randomName(&generator),
            version: Int.random(in: 1...120, using: &generator)
        )
    }

    private func randomEntity(_ generator: inout SeededGenerator) -> EntityKey {
        let texts = ["", "1", "a", "}", "}a:1", "a:{", ":", "%", "b}b:1", "1}1"]
        let values = (0..<Int.random(in: 1...2, using: &generator)).map { _ in
            EntityKeyValue.text(texts[Int.random(in: 0..<texts.count, using: &generator)])
        }
        return EntityKey(values) ?? EntityKey(canonical: "0")
    }

    @Test func aRowKeyIsReadBackInItsSpaceAndInNoOther() {
        let seed: UInt64 = 0x7370_6163
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200_000 {
            let (space, other) = (randomSpace(&generator), randomSpace(&generator))
            let entity = randomEntity(&generator)
            let key = space.rowKey(entity)
            let isRight =
                space.entity(ofRowKey: key) == entity && (space == other || other.entity(ofRowKey: key) == nil)
            guard isRight else {
                Issue.record("\(key) in \(space) and \(other)")
                return
            }
        }
    }

    @Test func twoDifferentRowsNeverShareAKey() {
        let seed: UInt64 = 0x726f_7773
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var rows: [String: (KeySpace, EntityKey)] = [:]
        var repeated = 0
        for _ in 0..<200_000 {
            let row = (randomSpace(&generator), randomEntity(&generator))
            if let known = rows.updateValue(row, forKey: row.0.rowKey(row.1)) {
                repeated += 1
                #expect(known == row)
            }
        }
        #expect(repeated > 0)
    }

    @Test func spacesOfOneProjectDifferBehindTheEntity() {
        let spaces = [("a", 1), ("a", 11), ("a1", 1), ("ba", 1)].map {
            KeySpace(project: "p", viewKey: $0.0, version: $0.1)
        }
        for left in spaces {
            for right in spaces where left != right {
                #expect(left.suffix != right.suffix)
                #expect(!left.suffix.hasSuffix(right.suffix))
            }
        }
    }

    @Test(arguments: [
        "", "p", "p:{", "p:{}v:1", "p:{1}v:2", "p:{1}w:1", "q:{1}v:1", "p:{1}v:11", "pp:{1}v:1", "p:{a}v:1}v:1",
        "p:{{1}v:1",
        "p:{a b}v:1", "p:{é}v:1", "p:{1}v:1\u{301}", "p:{\r\n}v:1",
    ])
    func aForeignKeyIsNotRead(_ key: String) {
        #expect(KeySpace(project: "p", viewKey: "v", version: 1).entity(ofRowKey: key) == nil)
    }
}
