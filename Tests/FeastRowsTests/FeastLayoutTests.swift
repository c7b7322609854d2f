import FeastRows
import Testing

/// Keys and fields of Feast's Redis, byte for byte as Feast 0.67 and mmh3 make them.
struct FeastLayoutTests {
    private func hex(_ text: String) -> [UInt8] {
        let digits = text.utf8.filter { $0 != UInt8(ascii: " ") }
        return stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) ?? 0
        }
    }

    @Test func keysAreFeasts() {
        let project = "my_project"
        #expect(
            FeastLayout.key([("driver_id", .int64(1_001))], project: project)
                == hex(
                    "01000000 02000000 09000000 6472697665725f6964 04000000 08000000 e903000000000000 6d795f70726f6a656374"
                ))
        #expect(
            FeastLayout.key([("user_id", .string("u-1"))], project: project)
                == hex("0100000002000000 07000000 757365725f6964 02000000 03000000 752d31 6d795f70726f6a656374"))
        #expect(
            FeastLayout.key([("id", .int32(7))], project: project)
                == hex("0100000002000000 02000000 6964 03000000 04000000 07000000 6d795f70726f6a656374"))
        let pair =
            "02000000 02000000 0b000000 637573746f6d65725f6964 02000000 09000000 6472697665725f6964 "
            + "02000000 02000000 6339 04000000 08000000 e903000000000000 6d795f70726f6a656374"
        let keys: [(name: String, value: FeastLayout.KeyValue)] = [
            ("driver_id", .int64(1_001)), ("customer_id", .string("c9")),
        ]
        #expect(FeastLayout.key(keys, project: project) == hex(pair))
        #expect(FeastLayout.key(keys.reversed(), project: project) == hex(pair))
        #expect(
            FeastLayout.key([(FeastView.noEntity.name, .string(""))], project: project)
                == hex("01000000 02000000 0a000000 5f5f64756d6d795f6964 02000000 00000000 6d795f70726f6a656374"))
    }

    @Test func keysOfTheSecondVersionHaveNeitherCountNorLength() {
        #expect(
            FeastLayout.key([("id", .int32(7))], project: "p", version: .v2)
                == hex("02000000 6964 03000000 04000000 07000000 70"))
        #expect(
            FeastLayout.key([("id", .timestamp(-1))], project: "p", version: .v2)
                == hex("02000000 6964 08000000 08000000 ffffffffffffffff 70"))
        #expect(
            FeastLayout.key([("id", .bytes([0, 255]))], project: "", version: .v2)
                == hex("02000000 6964 01000000 02000000 00ff"))
    }

    @Test(arguments: [
        ("driver_hourly_stats", "conv_rate", "6160e3da"), ("driver_hourly_stats", "acc_rate", "fa5e58ad"),
        ("driver_hourly_stats", "avg_daily_trips", "18a5e5a3"), ("feature_view_1", "feature_10", "266d5f39"),
        ("driver_hourly_stats_v2", "conv_rate", "bfac5cd4"), ("__precomputed__svc", "vector", "f8f85c5a"),
    ])
    func fieldsAreFeasts(_ view: String, _ feature: String, _ bytes: String) {
        #expect(FeastLayout.field(view: view, feature: feature) == hex(bytes))
    }

    @Test func timesHaveAFieldOfTheirView() {
        #expect(FeastLayout.timestampField(view: "driver_hourly_stats") == Array("_ts:driver_hourly_stats".utf8))
    }
}
