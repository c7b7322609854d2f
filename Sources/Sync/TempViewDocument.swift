import FeatureModel

enum ViewDocument {
    static func encode(_ v: FeatureView) throws -> [UInt8] { [] }
    static func decode(_ b: [UInt8]) throws -> FeatureView { throw CancellationError() }
}
