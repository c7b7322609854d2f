import OnlineStore

extension JSONText {
    /// Appends the bytes that a string means; `false`, with `output` as it was, when it is not padded Base64 in its one spelling.
    func appendBase64(_ body: RawSpan, to output: inout [UInt8]) -> Bool {
        var text: [UInt8] = []
        append(body, to: &text)
        guard let bytes = Base64.decode(text[...]) else { return false }
        output.append(contentsOf: bytes)
        return true
    }
}
