import CLZ4

/// LZ4 blocks. The only file that knows the C library.
enum LZ4Block {
    /// Compresses into at most `limit` bytes; `nil` when the block would be longer.
    static func compress(_ bytes: Span<UInt8>, limit: Int) -> [UInt8]? {
        guard limit > 0, let sourceCount = Int32(exactly: bytes.count), let capacity = Int32(exactly: limit) else {
            return nil
        }
        // LZ4 reads `sourceCount` bytes of the source and writes at most `capacity` of the target; both are that long.
        let block = unsafe [UInt8](unsafeUninitializedCapacity: limit) { target, count in
            count = unsafe bytes.withUnsafeBytes { source in
                let written = unsafe LZ4_compress_default(
                    source.baseAddress?.assumingMemoryBound(to: CChar.self),
                    UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(to: CChar.self),
                    sourceCount, capacity)
                return max(0, Int(written))
            }
        }
        return block.isEmpty ? nil : block
    }

    /// Decompresses to exactly `size` bytes; `nil` when the block is damaged or of another size.
    ///
    /// The caller has checked `size` against its cap.
    static func decompress(_ block: Span<UInt8>, size: Int) -> [UInt8]? {
        guard size > 0, let blockCount = Int32(exactly: block.count), let capacity = Int32(exactly: size) else {
            return nil
        }
        // LZ4_decompress_safe never reads behind the block nor writes behind the target, whatever the block says.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { target, count in
            count = unsafe block.withUnsafeBytes { source in
                let written = unsafe LZ4_decompress_safe(
                    source.baseAddress?.assumingMemoryBound(to: CChar.self),
                    UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(to: CChar.self),
                    blockCount, capacity)
                return max(0, Int(written))
            }
        }
        return bytes.count == size ? bytes : nil
    }

    /// The version of the library in use, such as 10904 for 1.9.4.
    static var libraryVersion: Int { Int(LZ4_versionNumber()) }
}
