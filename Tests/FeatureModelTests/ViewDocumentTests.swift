import FeatureModel
import Testing

@Suite struct ViewDocumentTests {
    private func views() throws -> [FeatureView] {
        let text = """
            entities: {pair: {keys: {a: int32, b: string, c: bytes}}}
            views:
              everything:
                key: every-thing
                entity: pair
                source:
                  from: s
                  query: "SELECT \\"quoted\\", 'ü🛒', :keys"
                  changes: SELECT a, b, c, n FROM t
                  entities: SELECT a, b, c FROM t
                  watermark: {column: n, unit: us, tie_breaker: [x, y], settle: 0.5s, lookback: 90s}
                  event_time: {column: at, unit: s}
                  deleted: gone
                every: 1500ms
                ttl: 36h
                max_age: 1h
                sweep: 3m
                activate: manual
                keep_previous: 0s
                contract: {max_quarantine_rate: 0.1, max_row_count_change: 0.25, on_breach: warn}
                features:
                  f1: {type: bool, default: true, contract: {one_of: [true]}}
                  f2: {type: int32, default: -1, contract: {min: -2, max: 3, nullable: false}}
                  f3: {type: int64, default: 9223372036854775807}
                  f4: {type: float32, default: 0.1, contract: {min: 0.1}}
                  f5: {type: float64, default: 0.30000000000000004}
                  f6: {type: string, default: "a\\"\\u2028ü", contract: {max_length: 9, max_null_rate: 0.5}}
                  f7: {type: bytes, default: AAEC/w==}
                  f8: {type: timestamp, default: 2026-01-31T08:00:00.123456Z}
                  f9: {type: [float64], default: [1, -0.0, 1e-300]}
                  f10: {type: vector(2), default: [0.1, 16777217]}
              tracked:
                entity: pair
                source: {from: s, query: SELECT 1, watermark: {track: x.y, key: [d, e, f]}}
                every: 1s
                ttl: 1d
                features: {f: [string]}
              counted:
                entity: pair
                source: {from: s, query: SELECT 1, watermark: {column: id, lookback: 500}}
                every: 1s
                ttl: 1d
                features: {f: vector(65536)}
            """
        let own = try Catalog.compile(project: "p", files: [("a.yaml", Array(text.utf8))]).views
        return try Catalog.compile(project: "p", files: Files.shop()).views + own
    }

    @Test func aViewSurvivesWithItsFingerprints() throws {
        for view in try views() {
            let bytes = ViewDocument.encode(view)
            let decoded = try ViewDocument.decode(bytes)
            #expect(decoded == view)
            #expect(decoded.schemaFingerprint == view.schemaFingerprint)
            #expect(decoded.definitionFingerprint == view.definitionFingerprint)
            #expect(ViewDocument.encode(decoded) == bytes)
        }
    }

    @Test func theFormOfTheDocumentStays() throws {
        let text = WrongDefinitionTests.right
        let view = try #require(Catalog.compile(project: "p", files: [("a.yaml", Array(text.utf8))]).views.first)
        #expect(
            String(decoding: ViewDocument.encode(view), as: UTF8.self)
                == #"{"activation":"automatic","entity":"user","entityKeys":[{"name":"user_id","type":"int64"}],"#
                + #""eventTime":{"column":"updated_at"},"every":30000000,"features":[{"name":"clicks","nullable":true,"#
                + #""oneOf":[],"type":"int64"}],"format":1,"from":"shop","keepPrevious":86400000000,"key":"activity","#
                + #""maximumQuarantineRate":0.05,"name":"activity","onBreach":"stop","#
                + #""query":"SELECT user_id, clicks, updated_at FROM activity","sweep":86400000000,"ttl":604800000000,"#
                + #""watermark":{"column":"updated_at","lookback":60000000,"lookbackCount":0,"settle":2000000,"#
                + #""tieBreaker":["user_id"]}}"#)
    }

    @Test func anotherFormatIsRefused() throws {
        let view = try #require(views().first)
        let text = String(decoding: ViewDocument.encode(view), as: UTF8.self)
        do {
            _ = try ViewDocument.decode(Array(text.replacing("\"format\":1", with: "\"format\":2").utf8))
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains("format 2"))
        }
    }

    @Test func cutOrChangedBytesAreRefusedOrAView() throws {
        let seed: UInt64 = 0x646f_6375
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let view = try #require(views().first { $0.name == "everything" })
        let bytes = ViewDocument.encode(view)
        for count in bytes.indices {
            #expect(throws: ViewDocument.DecodingFailure.self) { try ViewDocument.decode(Array(bytes[..<count])) }
        }
        for _ in 0..<4_000 {
            var changed = bytes
            changed[Int.random(in: 0..<changed.count, using: &generator)] ^=
                1 << UInt8.random(in: 0..<8, using: &generator)
            guard let decoded = try? ViewDocument.decode(changed) else { continue }
            #expect(decoded.features.allSatisfy { $0.defaultValue?.matches($0.type) ?? true })
        }
    }

    @Test func aDocumentAboveTheLimitIsRefused() {
        let bytes = [UInt8](repeating: 0x20, count: ViewDocument.maximumBytes + 1)
        #expect(throws: ViewDocument.DecodingFailure.self) { try ViewDocument.decode(bytes) }
    }

    @Test func deepNestingIsRefused() {
        let bytes = Array((String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)).utf8)
        #expect(throws: ViewDocument.DecodingFailure.self) { try ViewDocument.decode(bytes) }
    }
}
