import FeatureModel
import OnlineStore

extension EntityColumns {
    /// The columns of a request as the wire read them.
    init(_ values: KeyValues) {
        self.init()
        for read in values.columns {
            let column = column(read.name)
            switch read.type {
            case .int32, .int64:
                for number in read.integers { _ = append(number, to: column) }
            case .string, .bytes:
                var start = 0
                for end in read.ends {
                    unsafe read.bytes.withUnsafeBytes { bytes in
                        let text = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                        if read.type == .string {
                            _ = unsafe append(text: text, to: column)
                        } else {
                            _ = unsafe append(bytes: [UInt8](text), to: column)
                        }
                    }
                    start = end
                }
            }
        }
    }
}
