import FeatureModel
import Testing
import TidemarkTesting

@testable import OnlineStore

/// Numbers and times are spelled as Swift's own description does, but for where Python's `repr` wants an exponent.
/// `@testable`: the writers are nobody else's business. Serialized and giving way, since tests beside it wait for clocks
/// and sockets.
@Suite(.serialized)
struct NumberTextTests {
    private static func text(_ value: FeatureValue) -> String {
        var json = JSONBytes()
        json.value(value)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func doublesAreShortest(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<2_500 {
            if round.isMultiple(of: 50) { await Task.yield() }
            let bits = Double(bitPattern: generator.next())
            // Few digits, and few bits: neighbours of powers of two and ten.
            let short = Double(LookupSample.number(&generator)) * 0x1p-30
            let power = Double(sign: .plus, exponent: generator.below(2_098) - 1_074, significand: 1)
            for number in [bits, short, power, power.nextDown, power.nextUp, LookupSample.double(&generator)] {
                try #require(Self.text(.float64(number)) == ReferenceBody.double(number), "\(number)")
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func floatsAreShortest(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<2_500 {
            if round.isMultiple(of: 50) { await Task.yield() }
            let bits = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
            let power = Float(sign: .plus, exponent: generator.below(277) - 149, significand: 1)
            for number in [bits, power, power.nextDown, power.nextUp, LookupSample.float(&generator)] {
                try #require(Self.text(.float32(number)) == ReferenceBody.float(number), "\(number)")
                try #require(Self.text(.float64(Double(number))) == ReferenceBody.double(Double(number)))
            }
        }
    }

    @Test func powersOfTenAreExact() {
        var power = 1.0
        for exponent in 0...22 {
            let expected = exponent < 16 ? "1\(String(repeating: "0", count: exponent)).0" : "1e+\(exponent)"
            #expect(Self.text(.float64(power)) == expected)
            power *= 10
        }
        #expect(Self.text(.float64(1e-4)) == "0.0001")
        #expect(Self.text(.float64(1e-5)) == "1e-05")
        #expect(Self.text(.float64(1.5e-7)) == "1.5e-07")
        #expect(Self.text(.float64(.leastNonzeroMagnitude)) == "5e-324")
        #expect(Self.text(.float64(-1.7976931348623157e308)) == "-1.7976931348623157e+308")
        #expect(Self.text(.float64(9_999_999_999_999_998)) == "9999999999999998.0")
        #expect(Self.text(.float64(Double(Float(0.85)))) == "0.8500000238418579")
    }

    @Test func integersOfEveryLengthAreWritten() {
        var number: Int64 = 9
        for _ in 0..<18 {
            for value in [number, number + 1, -number, -number - 1, number / 2] {
                #expect(Self.text(.int64(value)) == "\(value)")
            }
            number = number &* 10 &+ 9
        }
        for value in [Int64.min, .max, 0, -1] { #expect(Self.text(.int64(value)) == "\(value)") }
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func timesAreThoseOfTheCalendar(seed: UInt64) throws {
        try withSeed(seed) { generator in
            let bounds = Timestamps.range
            let edges = [
                bounds.lowerBound, bounds.upperBound, bounds.lowerBound - 1, bounds.upperBound + 1, .min, .max, 0, -1,
            ]
            let random = (0..<2_500).flatMap { _ -> [Int64] in
                let time = Int64.random(in: bounds, using: &generator)
                return [time, time / 1_000 * 1_000, time / 1_000_000 * 1_000_000]
            }
            for time in edges + random {
                try #require(Self.text(.timestamp(time)) == "\"\(Timestamps.format(time))\"", "\(time)")
            }
        }
    }
}
