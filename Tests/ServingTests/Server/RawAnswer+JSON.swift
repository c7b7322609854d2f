import Foundation
import TidemarkTesting

extension RawAnswer {
    /// The body as a JSON object.
    func json() throws -> [String: Any] {
        guard let object = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any] else {
            throw ClientError("no object: \(body)")
        }
        return object
    }
}
