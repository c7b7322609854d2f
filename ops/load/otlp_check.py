"""Reads the traces and exemplars of `tidemark serve` with the parsers that others read them with: started by ops/load/otlp-check."""
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ops" / "feast"))
import stage  # noqa: E402
from google.protobuf import json_format  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402
from prometheus_client.openmetrics.parser import text_string_to_metric_families  # noqa: E402
from stage import Trouble, say  # noqa: E402

CALLER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
FEATURES = ["user_week:events", "user_week:last_ts"]
CLIENT, SERVER, INTERNAL = 3, 2, 1


def check(condition, text):
    if not condition:
        raise Trouble(text)


def with_bytes(request):
    """OTLP's JSON has ids in hex, where protobuf's own has Base64."""
    import base64
    for spans in request["resourceSpans"]:
        for scope in spans["scopeSpans"]:
            for span in scope["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in span:
                        span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    return request


class Collector:
    """Takes OTLP over HTTP; `mode` says how: ok, slow, or a status."""

    def __init__(self):
        self.mode, self.spans, self.resources, self.exports = "ok", [], [], 0
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.exports += 1
                status = 200
                if collector.mode == "ok":
                    check(self.path == "/v1/traces" and self.headers["content-type"] == "application/json", self.path)
                    # Unknown fields are an error here, unlike in a collector.
                    message = json_format.ParseDict(with_bytes(json.loads(body)), ExportTraceServiceRequest())
                    for spans in message.resource_spans:
                        collector.resources.append(values(spans.resource.attributes))
                        for scope in spans.scope_spans:
                            collector.spans += scope.spans
                elif collector.mode == "slow":
                    time.sleep(2)
                elif collector.mode == "gone":
                    self.close_connection = True
                    return
                else:
                    status = int(collector.mode)
                answer = b"{}"
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # Exporters give up on a collector that is slow: that is what is tried here.
        self.server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count):
        deadline = time.monotonic() + 20
        while len(self.spans) < count:
            check(time.monotonic() < deadline, f"{len(self.spans)} spans came, not {count}")
            time.sleep(0.02)
        return self.spans


def values(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def ask(url, path, body, headers=None):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers or {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers, json.loads(answer.read())


def lookup(url, headers=None):
    return ask(url, "/v1/lookup", {"features": FEATURES, "entities": [{"user_id": 1}, {"user_id": 2}]}, headers)


def page(url, accept):
    with urllib.request.urlopen(urllib.request.Request(url + "/metrics", headers={"accept": accept}), timeout=10) as answer:
        return answer.read().decode()


def total(url, name):
    return sum(float(line.rpartition(" ")[2]) for line in page(url, "text/plain").splitlines() if line.startswith(name))


def check_one_trace(collector, url):
    """One request with a caller of its own, read by OpenTelemetry's messages."""
    before = len(collector.spans)
    headers, _ = lookup(url, {"traceparent": f"00-{CALLER[0]}-{CALLER[1]}-01", "tracestate": "vendor=1"})
    spans = collector.wait(before + 4)[before:]
    check([span.name for span in spans] == ["plan", "MGET", "encode", "POST /v1/lookup"], f"spans are {[span.name for span in spans]}")
    check([span.kind for span in spans] == [INTERNAL, CLIENT, INTERNAL, SERVER], "kinds")
    request = spans[3]
    check({span.trace_id.hex() for span in spans} == {CALLER[0]}, "another trace")
    check(request.parent_span_id.hex() == CALLER[1] and len({span.span_id for span in spans}) == 4, "ids")
    check(all(span.parent_span_id == request.span_id for span in spans[:3]), "parents")
    check(all(span.trace_state == "vendor=1" for span in spans), "tracestate")
    now = time.time_ns()
    for span in spans:
        check(request.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= request.end_time_unix_nano, f"times of {span.name}")
        check(0 <= now - span.end_time_unix_nano < 30e9, f"{span.name} ended another day")
    check(headers["traceresponse"] == f"00-{CALLER[0]}-{request.span_id.hex()}-01", "traceresponse")
    named = values(request.attributes)
    check(named["http.request.method"] == "POST" and named["http.route"] == named["url.path"] == "/v1/lookup", named)
    check(named["http.response.status_code"] == 200 and named["url.scheme"] == "http" and named["tidemark.entities"] == 2, named)
    store = values(spans[1].attributes)
    check(store["db.system.name"] == "redis" and store["db.operation.name"] == "MGET" and store["db.namespace"] == "0", store)
    check(store["server.address"] == "127.0.0.1" and store["server.port"] > 0, store)
    check(collector.resources[0]["service.name"] == "shop-features" and collector.resources[0]["team"] == "search", collector.resources[0])
    say(f"one request: {', '.join(span.name for span in spans)}; "
        + ", ".join(f"{(span.end_time_unix_nano - span.start_time_unix_nano) / 1000:.0f} µs" for span in spans))


def check_exemplars(collector, url):
    """Every exemplar names a trace that the collector has, by Prometheus' own parser."""
    known = {(span.trace_id.hex(), span.span_id.hex()) for span in collector.spans}
    found = 0
    for family in text_string_to_metric_families(page(url, "application/openmetrics-text; version=1.0.0")):
        for sample in family.samples:
            if sample.exemplar:
                labels = sample.exemplar.labels
                check(family.name == "tidemark_lookup_duration_seconds" and sample.name.endswith("_bucket"), sample)
                check((labels["trace_id"], labels["span_id"]) in known, f"no trace {labels}")
                check(sample.exemplar.value <= float(sample.labels["le"]) and abs(time.time() - float(sample.exemplar.timestamp)) < 60, sample)
                found += 1
    check(found > 0, "there are no exemplars")
    check("trace_id" not in page(url, "text/plain"), "exemplars in Prometheus' text")
    say(f"{found} exemplars, each of a trace that the collector has")


def check_trouble(collector, url, daemon):
    """Lookups while the collector has trouble: none fails, none is slow, memory stays, what is lost is counted."""
    for mode in ("slow", "500", "429", "gone"):
        collector.mode = mode
        if mode == "gone":
            collector.server.shutdown()
            collector.server.server_close()
        lost, resident = total(url, "tidemark_trace_spans_dropped_total"), daemon.resident_mib()[0]
        longest, began = 0, time.monotonic()
        for _ in range(3_000):
            start = time.monotonic()
            _, answer = lookup(url)
            check("degraded" not in answer, answer)
            longest = max(longest, time.monotonic() - start)
        # The exporter goes on for a moment.
        time.sleep(1.5)
        dropped = total(url, "tidemark_trace_spans_dropped_total") - lost
        grown = daemon.resident_mib()[0] - resident
        check(total(url, "tidemark_trace_spans_waiting") <= 4 * 2_048, "more wait than may")
        check(dropped > 0 or mode == "slow", f"{mode}: nothing was counted as dropped")
        check(grown < 32, f"{mode}: {grown} MiB more")
        say(f"collector {mode}: 3,000 lookups in {time.monotonic() - began:.1f} s, the longest {longest * 1000:.1f} ms; {dropped:.0f} spans dropped, {grown:+.1f} MiB")


def main():
    if not shutil.which("redis-server"):
        raise Trouble("redis-server is not installed")
    program = stage.tidemark_program()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-otlp-"))
    servers = []
    try:
        servers.append(redis := stage.Redis(folder))
        collector = Collector()
        shutil.copytree(ROOT / "schemas" / "shop", folder / "shop")
        (folder / "tidemark.yaml").write_text(json.dumps({
            "project": "shop", "schemas": "shop", "online_store": {"url": f"redis://127.0.0.1:{redis.port}/0"},
            "sources": {"shop": {"url": "sqlite:shop.db"}}, "serve": {"timeout": "5s", "threads": 2, "unready": "0s"},
            "telemetry": {"log_format": "json", "traces": {"endpoint": collector.url, "sample_ratio": 1, "timeout": "500ms"}}}))
        (folder / "http-port").write_text(str(port := stage.free_port()))
        stage.run([program, "seed", "--out", folder / "shop.db", "--users", 200, "--items", 50, "--events", 3000, "--seed", 7])
        command = [program, "--config", folder / "tidemark.yaml"]
        # 3: some rows of this shop break their contract.
        synced = subprocess.run([*map(str, command), "sync", "--once"], capture_output=True, timeout=120)
        check(synced.returncode in (0, 3), synced.stderr.decode())
        servers.append(daemon := stage.Server(
            "tidemark serve", [*command, "serve", "--http", f"127.0.0.1:{port}"], folder / "serve.log",
            {"OTEL_SERVICE_NAME": "shop-features", "OTEL_RESOURCE_ATTRIBUTES": "team=search"}, folder))
        url = f"http://127.0.0.1:{port}"
        daemon.wait_until(lambda: stage.answers(url + "/readyz"), 30)
        check_one_trace(collector, url)
        for _ in range(500):
            lookup(url)
        spans = collector.wait(2_004)
        check(len({span.span_id for span in spans}) == len(spans), "a span id came twice")
        check_exemplars(collector, url)
        check_trouble(collector, url, daemon)
        began = time.monotonic()
        code = daemon.stop()
        check(code == 0, f"tidemark serve ended with {code}: {daemon.tail()}")
        say(f"SIGTERM: ended after {time.monotonic() - began:.1f} s")
    finally:
        for server in reversed(servers):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    say("traces and exemplars are as others read them")


stage.end_on_sigterm()
try:
    main()
except Trouble as trouble:
    sys.exit(f"otlp-check: {trouble}")
