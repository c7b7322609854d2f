package import FeatureModel

/// Appends JSON to bytes: for what is not on the path of a lookup.
package struct JSONBytes {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// Text that is JSON already.
    package mutating func raw(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Bytes that are JSON already.
    package mutating func raw(_ json: some Sequence<UInt8>) {
        bytes.append(contentsOf: json)
    }

    /// Elements with commas between them.
    package mutating func list<Element>(_ elements: [Element], _ write: (inout JSONBytes, Element) -> Void) {
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(&self, element)
        }
    }

    /// A quoted string, escaped as RFC 8259 asks.
    package mutating func string(_ text: String) {
        let utf8 = Array(text.utf8)
        write(6 * utf8.count + 2) { cursor in
            unsafe utf8.withUnsafeBytes { unsafe cursor.string($0, isPlain: false) }
        }
    }

    /// A feature value as `/v1/lookup` spells it: 64-bit integers as numbers, bytes as Base64, timestamps as RFC 3339, numbers
    /// that JSON lacks as strings.
    package mutating func value(_ value: FeatureValue) {
        switch value {
        case .null: raw("null")
        case .bool(let flag): raw(flag ? "true" : "false")
        case .int32(let number): write(NumberText.integerBytes) { $0.integer(Int64(number)) }
        case .int64(let number): write(NumberText.integerBytes) { $0.integer(number) }
        case .float32(let number): write(NumberText.doubleBytes) { $0.float(number) }
        case .float64(let number): write(NumberText.doubleBytes) { $0.double(number) }
        case .string(let text): string(text)
        case .bytes(let bytes):
            write(bytes.count / 3 * 4 + 6) { cursor in
                unsafe bytes.withUnsafeBytes { unsafe cursor.base64($0) }
            }
        case .timestamp(let microseconds): write(JSONBound.timestamp) { $0.timestamp(microseconds) }
        case .list(let elements): list(elements, in: { $0.value($1) })
        case .vector(let elements): list(elements, in: { $0.value(.float32($1)) })
        }
    }

    /// A feature value as Feast's server spells it: floats widened to doubles, timestamps as whole seconds.
    mutating func feastValue(_ value: FeatureValue) {
        switch value {
        case .float32(let number): self.value(.float64(Double(number)))
        case .timestamp(let microseconds): self.value(.int64(FeastTime.seconds(microseconds)))
        case .list(let elements): list(elements, in: { $0.feastValue($1) })
        case .vector(let elements): list(elements, in: { $0.feastValue(.float32($1)) })
        default: self.value(value)
        }
    }

    private mutating func list<Element>(
        _ elements: [Element], in write: (inout JSONBytes, Element) -> Void
    ) {
        raw("[")
        list(elements, write)
        raw("]")
    }

    private mutating func write(_ bound: Int, _ body: (inout JSONWriter) -> Void) {
        Self.write(bound, to: &bytes, body)
    }

    /// Appends at most `bound` bytes, as many as `body` writes.
    @inline(__always)
    static func write(_ bound: Int, to bytes: inout [UInt8], _ body: (inout JSONWriter) -> Void) {
        bytes.append(addingCapacity: bound) { output in
            _ = unsafe output.withUnsafeMutableBufferPointer { buffer, count in
                let room = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
                var cursor = unsafe JSONWriter(room)
                body(&cursor)
                count += unsafe cursor.count(from: room)
            }
        }
    }
}

/// How Feast tells time in values.
enum FeastTime {
    /// Whole seconds since 1970, rounded down.
    @inline(__always)
    static func seconds(_ microseconds: Int64) -> Int64 {
        microseconds / 1_000_000 - (microseconds % 1_000_000 < 0 ? 1 : 0)
    }
}
