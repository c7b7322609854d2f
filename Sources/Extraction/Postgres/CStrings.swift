/// Lends NUL-terminated copies of texts, with a null pointer for `nil` and one behind the last.
func withCStrings<Result>(
    _ strings: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
) -> Result {
    var bytes: [CChar] = []
    var offsets: [Int?] = []
    for string in strings {
        offsets.append(string == nil ? nil : bytes.count)
        guard let string else { continue }
        for byte in string.utf8 { bytes.append(CChar(bitPattern: byte)) }
        bytes.append(0)
    }
    return unsafe bytes.withUnsafeBufferPointer { text in
        var pointers: [UnsafePointer<CChar>?] = unsafe []
        for offset in offsets {
            unsafe pointers.append(offset.flatMap { place in unsafe text.baseAddress.map { unsafe $0 + place } })
        }
        unsafe pointers.append(nil)
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
    }
}
