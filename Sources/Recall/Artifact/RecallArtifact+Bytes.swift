import FeatureModel

/// The layout of `data.bin`, format 1, little-endian.
///
/// A head of 72 bytes: `TMRECALL`, then u32 each: format, kind, key type, 0; then u64 each: items, bytes of ids, segments,
/// bytes of segment names, rows, entries. Behind it, without gaps: ids (i64 each, or u32 starts and bytes), segment names
/// (u32 starts and bytes), row starts (u32), entries' items (u32), entries' scores (f32).
/// The head tells the length of everything: a file of another length is refused before anything is made of it.
extension RecallArtifact {
    static let format: UInt32 = 1
    static let magic = Array("TMRECALL".utf8)
    static let headBytes = 72

    /// The file's bytes.
    func encoded() -> [UInt8] {
        var (keyType, idStarts, idBytes): (UInt32, [UInt32], [UInt8]) = (0, [], [])
        var numbers: [Int64] = []
        switch ids {
        case .integers(let ids): numbers = ids
        case .texts(let starts, let bytes): (keyType, idStarts, idBytes) = (1, starts, bytes)
        case .blobs(let starts, let bytes): (keyType, idStarts, idBytes) = (2, starts, bytes)
        }
        var names: [UInt8] = []
        var nameStarts: [UInt32] = [0]
        for segment in segments {
            names += Array(segment.utf8)
            nameStarts.append(UInt32(clamping: names.count))
        }
        var writer = ByteWriter()
        writer.append(Self.magic)
        writer.append([Self.format, kind.code, keyType, 0])
        let counts = [ids.count, idBytes.count, segments.count, names.count, rowCount, items.count]
        writer.append(counts.map { UInt64($0) })
        writer.append(numbers)
        writer.append(idStarts)
        writer.append(idBytes)
        writer.append(nameStarts)
        writer.append(names)
        writer.append(starts)
        writer.append(items)
        writer.append(scores.map(\.bitPattern))
        return writer.bytes
    }

    /// - Throws: `incompatible` for another format, `damaged` for anything that is not what `encoded` makes.
    init(_ bytes: [UInt8]) throws(RecallError) {
        var reader = ByteReader(bytes)
        guard bytes.count >= Self.headBytes, reader.take(8) as [UInt8] == Self.magic else {
            throw RecallError(.damaged, "the file is no recall list")
        }
        let words: [UInt32] = reader.take(4)
        guard words[0] == Self.format else {
            throw RecallError(
                .incompatible, "the list is of another format", detail: "expected \(Self.format), found \(words[0])")
        }
        guard let kind = RecallKind(code: words[1]), words[2] <= 2, words[3] == 0 else {
            throw RecallError(.incompatible, "the list is of an unknown kind")
        }
        let head = Head(keyType: words[2], counts: reader.take(6))
        guard head.length == UInt64(bytes.count) else {
            throw RecallError(.damaged, "the file has another length than its head says")
        }
        // From here on every count is below the file's length.
        self.init(kind: kind, ids: Self.ids(head, &reader))
        let nameStarts: [UInt32] = reader.take(head.count(2) + 1)
        let names: [UInt8] = reader.take(head.count(3))
        segments = try Self.segments(nameStarts, names)
        starts = reader.take(head.count(4) + 1)
        items = reader.take(head.count(5))
        scores = (reader.take(head.count(5)) as [UInt32]).map { Float(bitPattern: $0) }
        if let fault { throw RecallError(.damaged, "the list contradicts itself", detail: fault) }
    }

    private static func ids(_ head: Head, _ reader: inout ByteReader) -> ItemIDs {
        guard head.keyType != 0 else { return .integers(reader.take(head.count(0))) }
        let starts: [UInt32] = reader.take(head.count(0) + 1)
        let bytes: [UInt8] = reader.take(head.count(1))
        return head.keyType == 1 ? .texts(starts: starts, bytes: bytes) : .blobs(starts: starts, bytes: bytes)
    }

    private static func segments(_ starts: [UInt32], _ bytes: [UInt8]) throws(RecallError) -> [String] {
        var segments: [String] = []
        for index in starts.indices.dropLast() {
            let range = (Int(starts[index]), Int(starts[index + 1]))
            guard range.0 <= range.1, range.1 <= bytes.count,
                let name = String(validating: bytes[range.0..<range.1], as: UTF8.self)
            else { throw RecallError(.damaged, "the list contradicts itself", detail: "segment names") }
            segments.append(name)
        }
        return segments
    }

    /// What the head says.
    private struct Head {
        let keyType: UInt32
        let counts: [UInt64]

        func count(_ index: Int) -> Int { Int(counts[index]) }

        /// The file's length; `nil` where it would be beyond all files.
        var length: UInt64? {
            var total: UInt64? = UInt64(RecallArtifact.headBytes)
            func add(_ count: UInt64, _ size: UInt64) {
                let (product, isOver) = count.multipliedReportingOverflow(by: size)
                guard let sum = total, !isOver, product < 1 << 48, count < 1 << 40 else { return total = nil }
                total = sum + product
            }
            if keyType == 0 {
                guard counts[1] == 0 else { return nil }
                add(counts[0], 8)
            } else {
                add(counts[0], 4)
                add(1, 4)
                add(counts[1], 1)
            }
            add(counts[2], 4)
            add(1, 4)
            add(counts[3], 1)
            add(counts[4], 4)
            add(1, 4)
            add(counts[5], 8)
            return total
        }
    }
}

extension RecallKind {
    /// As it stands in files; never given to another kind.
    fileprivate var code: UInt32 {
        switch self {
        case .popularity: 1
        case .trending: 2
        case .newest: 3
        case .coOccurrence: 4
        case .vectors: 5
        }
    }

    fileprivate init?(code: UInt32) {
        guard let kind = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = kind
    }
}

/// Appends little-endian numbers.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ numbers: [UInt8]) {
        bytes += numbers
    }

    mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(_ numbers: [Number]) {
        let little = numbers.map(\.littleEndian)
        unsafe little.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }
}

/// Takes little-endian numbers off bytes. Its caller has checked that there are so many.
struct ByteReader {
    private let bytes: [UInt8]
    private var place = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func take<Number: FixedWidthInteger & BitwiseCopyable>(_ count: Int) -> [Number] {
        let size = count * MemoryLayout<Number>.size
        precondition(count >= 0 && size <= bytes.count - place, "the caller checks the length")
        let start = place
        place += size
        let numbers = unsafe [Number](unsafeUninitializedCapacity: count) { buffer, made in
            unsafe bytes.withUnsafeBytes { source in
                unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source[start..<start + size]))
            }
            made = count
        }
        return Number(1).littleEndian == 1 ? numbers : numbers.map { Number(littleEndian: $0) }
    }
}
