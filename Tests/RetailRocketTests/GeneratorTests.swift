import Glibc
import RetailRocket
import Testing

@Suite
struct GeneratorTests {
    /// The first numbers of the authors' C program from the state 1, 2, 3, 4.
    @Test func xoshiroGivesThePublishedNumbers() throws {
        var random = try #require(Xoshiro(text: "1 2 3 4"))
        #expect(random.next() == 11_520)
        #expect(random.next() == 0)
        #expect(random.next() == 1_509_978_240)
        #expect(random.next() == 1_215_971_899_390_074_240)
    }

    @Test func generatorsContinueFromTheirText() throws {
        var random = Xoshiro(seed: 5)
        _ = random.next()
        var copy = try #require(Xoshiro(text: random.text))
        #expect(copy == random)
        #expect(copy.next() == random.next())
        for text in ["", "0 0 0 0", "1 2 3", "1 2 3 4 5", "1 2 3 x", "-1 2 3 4", "1 2  3"] {
            #expect(Xoshiro(text: text) == nil, "\(text)")
        }
    }

    @Test func powersAreCloseToTheMathLibrarys() {
        for base in [1.0, 1.5, 2, 3, 7, 10, 1_000, 123_456, 2_000_000] {
            for exponent in [-1.05, -0.5, 0, 0.25, 1, 1.7] {
                let exact = ExactMath.power(base, exponent)
                let wanted = pow(base, exponent)
                #expect(abs(exact - wanted) <= 1e-13 * wanted, "\(base)^\(exponent)")
            }
        }
    }

    /// Golden bits: these must be the same on every machine.
    @Test func powersAreExactlyThese() {
        #expect(ExactMath.power(2, -1.05).bitPattern == 4_602_372_000_899_925_039)
        #expect(ExactMath.power(1_999_999, -1.05).bitPattern == 4_508_171_966_260_346_201)
        #expect(ExactMath.ln(10).bitPattern == 4_612_367_379_483_415_829)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 16, 17, 100, 1_000, 4_097])
    func permutationsHitEveryPlaceOnce(count: Int) {
        let permutation = Permutation(count: count, seed: UInt64(count))
        let places = (0..<count).map { permutation[$0] }
        #expect(places.sorted() == Array(0..<count))
        if count >= 100 { #expect(places != Array(0..<count)) }
    }

    @Test func timesAreWrittenWithThreeFractionDigits() {
        #expect(ShopClock.text(1_433_160_000_123) == "2015-06-01T12:00:00.123Z")
        #expect(ShopClock.text(0) == "1970-01-01T00:00:00.000Z")
        #expect(ShopClock.text(1_456_747_199_999) == "2016-02-29T11:59:59.999Z")
        #expect(ShopClock.text(253_402_300_799_999) == "9999-12-31T23:59:59.999Z")
    }
}
