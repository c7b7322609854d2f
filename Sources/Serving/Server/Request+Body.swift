import HTTPTypes
import Hummingbird
import NIOCore

extension Request {
    /// The whole body, which is read no further than it may be long.
    ///
    /// - Throws: `WireError` where it is longer; what the connection throws.
    func body(within limits: WireLimits) async throws -> ByteBuffer {
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > limits.bodyBytes {
            throw RequestFields.tooLarge(limits)
        }
        var whole = ByteBuffer()
        for try await part in body {
            guard whole.readableBytes + part.readableBytes <= limits.bodyBytes else {
                throw RequestFields.tooLarge(limits)
            }
            whole.writeImmutableBuffer(part)
        }
        return whole
    }
}
