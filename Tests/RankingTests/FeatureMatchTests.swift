import FeatureModel
import Ranking
import Testing

@Suite struct FeatureMatchTests {
    @Test(arguments: [
        (FeatureValue.int64(3), FeatureValue.int64(3), Float(1)), (.int64(3), .int64(4), 0),
        (.string("a"), .string("a"), 1), (.list([.int64(3)]), .int64(3), 1),
        (.list([.int64(3), .int64(4)]), .int64(3), Float(1) / 1.5),
        (.list([.int64(3), .int64(4)]), .int64(4), 0.5 / 1.5),
        (.list([.int64(3), .int64(4)]), .int64(5), 0),
    ])
    func shareOfWhatIsEqual(_ user: FeatureValue, _ item: FeatureValue, _ number: Float) {
        #expect(FeatureMatch(user: user).number(item: item) == number)
    }

    @Test(arguments: [
        (FeatureValue.null, FeatureValue.int64(3)), (.int64(3), .null), (.list([]), .int64(3)),
        (.list([.int64(3)]), .null),
    ])
    func whatIsMissingIsNoNumber(_ user: FeatureValue, _ item: FeatureValue) {
        #expect(FeatureMatch(user: user).number(item: item).isNaN)
    }

    @Test func pairsThatAreNeverEqualAreRefused() {
        let column = RankerColumn(
            .match(user: FeatureReference(view: "u", feature: "a"), item: FeatureReference(view: "i", feature: "b")))
        func problem(_ user: FeatureType, _ item: FeatureType) -> String? {
            ModelColumns.problem([column], service: nil) { $0.view == "u" ? user : item }
        }
        #expect(problem(.list(.int64), .scalar(.int64)) == nil)
        #expect(problem(.scalar(.string), .scalar(.string)) == nil)
        #expect(problem(.list(.int64), .scalar(.string)) != nil)
        #expect(problem(.scalar(.int64), .list(.int64)) != nil)
        #expect(problem(.vector(3), .scalar(.float32)) != nil)
        #expect(ModelColumns.problem([column], service: []) { _ in .scalar(.int64) } != nil)
    }
}
