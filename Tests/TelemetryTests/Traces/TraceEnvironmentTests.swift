import Telemetry
import Testing

/// OpenTelemetry's variables, as its own SDKs read them.
@Suite struct TraceEnvironmentTests {
    @Test func nothingSetSaysNothing() {
        let read = TraceEnvironment(["OTEL_EXPORTER_OTLP_ENDPOINT": "", "PATH": "/bin"])
        #expect(read.endpoint == nil && read.headers.isEmpty && read.serviceName == nil && read.ratio == nil)
        #expect(read.followsParent && !read.isDisabled && read.timeout == nil && read.problems.isEmpty)
    }

    @Test func everyVariableIsRead() {
        let read = TraceEnvironment([
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/", "OTEL_SERVICE_NAME": "shop-features",
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20eDp5, x-tenant = shop",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,deployment.environment.name=prod,k=a%2Cb",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
        ])
        #expect(read.endpoint == "http://collector:4318/v1/traces")
        #expect(read.headers.map(\.name) == ["authorization", "x-tenant"])
        #expect(read.headers.map(\.value) == ["Basic eDp5", "shop"])
        #expect(read.serviceName == "shop-features")
        #expect(read.resource.map(\.key) == ["deployment.environment.name", "k"])
        #expect(read.resource.map(\.value) == ["prod", "a,b"])
        #expect(read.ratio == 0.25 && read.followsParent && read.timeout == .milliseconds(2_500))
        #expect(read.problems.isEmpty)
    }

    @Test func variablesOfTracesComeFirst() {
        let read = TraceEnvironment([
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://own/x",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=2",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=named",
        ])
        #expect(read.endpoint == "https://own/x")
        #expect(read.headers.map(\.name) == ["b"])
        #expect(read.serviceName == "named")
    }

    @Test(
        arguments: [
            ("always_on", nil, 1, false), ("always_off", "0.5", 0, false), ("traceidratio", "0.5", 0.5, false),
            ("traceidratio", nil, 1, false), ("parentbased_always_on", nil, 1, true),
            ("parentbased_always_off", nil, 0, true), ("parentbased_traceidratio", "0", 0, true),
        ] as [(String, String?, Double, Bool)])
    func samplersAreThoseOfTheStandard(_ name: String, _ argument: String?, _ ratio: Double, _ follows: Bool) {
        var variables = ["OTEL_TRACES_SAMPLER": name]
        variables["OTEL_TRACES_SAMPLER_ARG"] = argument
        let read = TraceEnvironment(variables)
        #expect(read.ratio == ratio && read.followsParent == follows && read.problems.isEmpty)
    }

    @Test func ratioWithoutSamplerIsFollowed() {
        let read = TraceEnvironment(["OTEL_TRACES_SAMPLER_ARG": "0.1"])
        #expect(read.ratio == 0.1 && read.followsParent)
    }

    @Test(arguments: [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"), ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_TRACES_SAMPLER_ARG", "many"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret-without-name"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=%G0"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
    ])
    func whatMakesNoSenseIsNamedAndLeftOut(_ name: String, _ value: String) {
        let read = TraceEnvironment([name: value])
        #expect(read.problems.count == 1 && read.problems[0].contains(name))
        #expect(!read.problems[0].contains("secret"))
        #expect(read.endpoint == nil && read.headers.isEmpty && read.timeout == nil && read.ratio == nil)
    }

    @Test func switchesTurnItOff() {
        #expect(TraceEnvironment(["OTEL_SDK_DISABLED": "True"]).isDisabled)
        #expect(TraceEnvironment(["OTEL_TRACES_EXPORTER": "none"]).isDisabled)
        #expect(!TraceEnvironment(["OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "otlp"]).isDisabled)
    }
}
