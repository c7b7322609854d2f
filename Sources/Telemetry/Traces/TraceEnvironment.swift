/// What OpenTelemetry's standard environment variables say about traces. What makes no sense counts as not set, as the
/// standard asks, and is named in `problems`.
package struct TraceEnvironment: Sendable {
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/traces` behind it.
    package private(set) var endpoint: String?
    /// `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, or `OTEL_EXPORTER_OTLP_HEADERS`.
    package private(set) var headers: [(name: String, value: String)] = []
    /// `OTEL_SERVICE_NAME`, or `service.name` of `OTEL_RESOURCE_ATTRIBUTES`.
    package private(set) var serviceName: String?
    /// `OTEL_RESOURCE_ATTRIBUTES` without `service.name`.
    package private(set) var resource: [(key: String, value: String)] = []
    /// `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, or `OTEL_EXPORTER_OTLP_TIMEOUT`, in milliseconds.
    package private(set) var timeout: Duration?
    /// The share of new traces by `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    package private(set) var ratio: Double?
    /// Whether the caller's word on sampling counts first: not for samplers without `parentbased`.
    package private(set) var followsParent = true
    /// `OTEL_SDK_DISABLED`, or `OTEL_TRACES_EXPORTER` of `none`.
    package private(set) var isDisabled = false
    /// What was left out, and why.
    package private(set) var problems: [String] = []

    /// Reads the variables.
    package init(_ variables: [String: String]) {
        // Set to nothing is not set.
        let set = variables.filter { !$0.value.isEmpty }
        isDisabled = set["OTEL_SDK_DISABLED"]?.lowercased() == "true" || set["OTEL_TRACES_EXPORTER"] == "none"
        readEndpoint(set)
        let headers = set["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] ?? set["OTEL_EXPORTER_OTLP_HEADERS"]
        self.headers = pairs(headers, "OTEL_EXPORTER_OTLP_HEADERS").map { (name: $0.lowercased(), value: $1) }
        resource = pairs(set["OTEL_RESOURCE_ATTRIBUTES"], "OTEL_RESOURCE_ATTRIBUTES").map { (key: $0, value: $1) }
        serviceName = set["OTEL_SERVICE_NAME"] ?? resource.last { $0.key == "service.name" }?.value
        resource.removeAll { $0.key == "service.name" }
        readTimeout(set)
        readSampler(set)
    }

    private mutating func readEndpoint(_ set: [String: String]) {
        if let whole = set["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
            endpoint = accepted(whole, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        } else if let base = set["OTEL_EXPORTER_OTLP_ENDPOINT"] {
            endpoint = accepted(base, "OTEL_EXPORTER_OTLP_ENDPOINT").map(Self.tracesURL)
        }
    }

    private mutating func accepted(_ url: String, _ name: String) -> String? {
        if url.hasPrefix("http://") || url.hasPrefix("https://") { return url }
        problems.append("\(name) is no URL of http or https")
        return nil
    }

    /// The URL of traces below a collector's base URL.
    package static func tracesURL(_ base: String) -> String {
        var base = base[...]
        while base.hasSuffix("/") { base = base.dropLast() }
        return base.hasSuffix("/v1/traces") ? String(base) : "\(base)/v1/traces"
    }

    private mutating func readTimeout(_ set: [String: String]) {
        guard let text = set["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] ?? set["OTEL_EXPORTER_OTLP_TIMEOUT"] else { return }
        guard let milliseconds = Int(text), (1...600_000).contains(milliseconds) else {
            return problems.append("OTEL_EXPORTER_OTLP_TIMEOUT is no whole number of milliseconds from 1 to 600000")
        }
        timeout = .milliseconds(milliseconds)
    }

    private mutating func readSampler(_ set: [String: String]) {
        var argument: Double?
        if let text = set["OTEL_TRACES_SAMPLER_ARG"] {
            argument = Double(text).flatMap { (0...1).contains($0) ? $0 : nil }
            if argument == nil { problems.append("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1") }
        }
        let sampler = set["OTEL_TRACES_SAMPLER"] ?? "parentbased_traceidratio"
        switch sampler {
        case "always_on", "parentbased_always_on": ratio = 1
        case "always_off", "parentbased_always_off": ratio = 0
        case "traceidratio", "parentbased_traceidratio":
            ratio = argument ?? (set["OTEL_TRACES_SAMPLER"] == nil ? nil : 1)
        default:
            ratio = argument
            return problems.append("OTEL_TRACES_SAMPLER \(sampler.prefix(64)) is not known here")
        }
        followsParent = sampler.hasPrefix("parentbased_")
    }

    /// `key=value,key=value`, percent-encoded as in W3C baggage.
    private mutating func pairs(_ text: String?, _ name: String) -> [(String, String)] {
        guard let text else { return [] }
        var found: [(String, String)] = []
        for part in text.split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(Self.trimmed)
            guard sides.count == 2, !sides[0].isEmpty, let key = Self.decoded(sides[0]),
                let value = Self.decoded(sides[1])
            else {
                // Not what it says: it may be a secret.
                problems.append("\(name) has a part that is not KEY=VALUE")
                continue
            }
            found.append((key, value))
        }
        return found
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let digits = String(rest.prefix(2)), digits.utf8.count == 2, let code = UInt8(digits, radix: 16)
            else {
                return nil
            }
            bytes.append(code)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
