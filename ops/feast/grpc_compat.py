#!/usr/bin/env python3
"""grpc-compat [--lookups N] [--filter TEXT]: the gRPC stubs of Feast's own wheel against `tidemark serve`.

Servers, rows and a Redis are made for the run (TIDEMARK_BIN, or the newest build). Every value is compared with the row that it
was made of: the matrix of types, N random lookups (10,000 unless told), composite keys, missing rows. With `protoc` installed
tidemark.v1.FeatureService is asked the same, and tidemark.v1.RecommendService what POST /v1/recommend is. Prints a line a
test; ends with 0 only if none failed."""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
import warnings

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
warnings.simplefilter("ignore")
# Its own help needs no Feast.
if {"-h", "--help"} & set(sys.argv[1:]):
    print(__doc__)
    sys.exit(0)
import os  # noqa: E402

import lines  # noqa: E402
import stage  # noqa: E402

os.environ.update(stage.feast_environment())
import grpc  # noqa: E402
import rows  # noqa: E402
import shop  # noqa: E402
from feast.protos.feast.serving import ServingService_pb2 as messages  # noqa: E402
from feast.protos.feast.serving.ServingService_pb2_grpc import ServingServiceStub  # noqa: E402
from feast.protos.feast.types.Value_pb2 import RepeatedValue, Value  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402

FIELDS = {
    "bool": "bool_val", "int32": "int32_val", "int64": "int64_val", "float32": "float_val", "float64": "double_val",
    "string": "string_val", "bytes": "bytes_val", "timestamp": "unix_timestamp_val",
}
USERS = 200
NOBODY = 99_999_999
VIEWS = {view.name: view for view in shop.all_views(USERS)}


PIPELINE = """
recall:
  lists:
    popular: {kind: popularity, from: shop, query: "SELECT word, event FROM word", item: word, time: {column: event, unit: ms}}
pipelines:
  home: {user: user, item: word, timeout: 5s, recall: {popular: {list: popular}}, fallback: popular}
"""


def column(values):
    field = "int64_val" if isinstance(values[0], int) else "string_val"
    return RepeatedValue(val=[Value(**{field: value}) for value in values])


def plain(kind, value):
    """A value of a row as it must come: timestamps are whole seconds on Feast's wire."""
    if value is None:
        return None
    if kind.startswith("[") or kind.startswith("vector"):
        element = kind[1:-1] if kind.startswith("[") else "float32"
        return [plain(element, part) for part in value]
    return int(value.timestamp()) if kind == "timestamp" else value


def read(value, kind):
    """What a Value holds, which must be in the field of its type."""
    field = value.WhichOneof("val")
    if field is None:
        return None
    if kind.startswith("[") or kind.startswith("vector"):
        element = kind[1:-1] if kind.startswith("[") else "float32"
        assert field == FIELDS[element].replace("_val", "_list_val"), (kind, field)
        return list(getattr(value, field).val)
    assert field == FIELDS[kind], (kind, field)
    return getattr(value, field)


def find(view, **keys):
    return next((row for row in VIEWS[view].rows if all(row[key] == value for key, value in keys.items())), None)


class Ours:
    """A method of tidemark.v1 by the descriptors of schemas/proto, without generated code."""

    def __init__(self, channel, folder, service, method):
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

        path = pathlib.Path(folder) / f"{service}.protoset"
        protos = stage.ROOT / "schemas" / "proto"
        subprocess.run(
            ["protoc", f"-I{protos}", "--include_imports", f"--descriptor_set_out={path}", f"tidemark/v1/{service}.proto"],
            check=True, timeout=60)
        self.pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file:
            self.pool.Add(file)
        self.request, response = (
            message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"tidemark.v1.{method}{name}"))
            for name in ("Request", "Response"))
        self.call = channel.unary_unary(
            f"/tidemark.v1.{service}/{method}", request_serializer=self.request.SerializeToString,
            response_deserializer=response.FromString)

    def names(self, enum, prefix):
        """Number → name of an enum."""
        return {value.number: value.name.removeprefix(prefix) for value in self.pool.FindEnumTypeByName(f"tidemark.v1.{enum}").values}


class GRPC(unittest.TestCase):
    channel = stub = folder = url = None
    lookups = 10_000

    def ask(self, entities, features=None, service=None, **options):
        """{name: [(Value, status, Timestamp)]} of an answer."""
        request = messages.GetOnlineFeaturesRequest(
            entities={name: column(values) for name, values in entities.items()}, **options)
        if service:
            request.feature_service = service
        else:
            request.features.val.extend(features)
        answer = self.stub.GetOnlineFeatures(request, timeout=20)
        names = list(answer.metadata.feature_names.val)
        self.assertEqual(len(names), len(answer.results))
        count = len(next(iter(entities.values())))
        found = {}
        for name, result in zip(names, answer.results):
            for part in (result.values, result.statuses, result.event_timestamps):
                self.assertEqual(len(part), count, name)
            found[name] = list(zip(result.values, result.statuses, result.event_timestamps))
        self.answer = answer
        return found

    def fails(self, code, request, **options):
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.GetOnlineFeatures(request, **{"timeout": 20, **options})
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception.details()

    def test_every_type_comes_as_its_own(self):
        samples = [row["sample_id"] for row in VIEWS["type_matrix"].rows]
        found = self.ask({"sample_id": samples}, [f"type_matrix:{name}" for name in shop.TYPES])
        self.assertEqual([value.int64_val for value, _, _ in found["sample_id"]], samples)
        for name, kind in shop.TYPES.items():
            for row, (value, status, event) in zip(VIEWS["type_matrix"].rows, found[name]):
                expected = plain(kind, row[name])
                self.assertEqual(read(value, kind), expected, (name, row["sample_id"]))
                self.assertEqual(status, messages.NULL_VALUE if expected is None else messages.PRESENT, name)
                self.assertEqual(event.ToDatetime(tzinfo=shop.UTC), row["event"])

    def test_random_lookups_are_the_source(self):
        seed = int(os.environ.get("TIDEMARK_SEED", "1"))
        generator = random.Random(seed)
        names = shop.references(*shop.BENCH)
        values = 0
        for _ in range(self.lookups):
            features = generator.sample(names, generator.randint(1, 6))
            users = [generator.randint(1, USERS + 10) for _ in range(generator.choice([1, 1, 1, 3, 20]))]
            found = self.ask({"user_id": users}, features, full_feature_names=True)
            for reference in features:
                view, feature = reference.split(":")
                for user, (value, status, _) in zip(users, found[f"{view}__{feature}"]):
                    row = find_user(view, user)
                    expected = row and row[feature]
                    self.assertEqual(read(value, shop.BENCH[view][feature]), expected, (reference, user, f"seed {seed}"))
                    self.assertEqual(status, messages.PRESENT if row else messages.NOT_FOUND)
                    values += 1
        print(f"         {self.lookups:,} lookups, {values:,} values, seed {seed}")

    def test_composite_keys_and_texts(self):
        asked = [(row["user_id"], row["item_id"]) for row in VIEWS["user_item"].rows] + [(1, "nothing"), (NOBODY, "i1")]
        found = self.ask(
            {"user_id": [user for user, _ in asked], "item_id": [item for _, item in asked]},
            ["user_item:times", "user_item:score"])
        for place, (user, item) in enumerate(asked):
            row = find("user_item", user_id=user, item_id=item)
            for name, kind in (("times", "int64"), ("score", "float64")):
                self.assertEqual(read(found[name][place][0], kind), row and row[name], (user, item))
        words = self.ask({"word": shop.WORDS}, ["word:length"])
        self.assertEqual([value.int64_val for value, _, _ in words["length"]], [len(word) for word in shop.WORDS])

    def test_missing_and_null_are_told_apart(self):
        found = self.ask({"user_id": [1, NOBODY]}, ["user_activity:views_7d"])
        self.assertEqual([status for _, status, _ in found["views_7d"]], [messages.PRESENT, messages.NOT_FOUND])
        self.assertIsNone(found["views_7d"][1][0].WhichOneof("val"))
        self.assertEqual(found["views_7d"][1][2].seconds, 0)
        nulls = self.ask({"user_id": [3], "item_id": ["i1"]}, ["user_item:score"])
        self.assertEqual(nulls["score"][0][1], messages.NULL_VALUE)

    def test_services_and_versions(self):
        found = self.ask({"user_id": [1]}, service="ranker", include_feature_view_version_metadata=True)
        expected = [reference.split(":")[1] for reference in shop.SERVICES["ranker"]]
        self.assertEqual(list(found), ["user_id", *expected])
        versions = {view.name: view.version for view in self.answer.metadata.feature_view_metadata}
        self.assertEqual(set(versions), {"user_activity", "user_spend", "user_taste"})
        self.assertTrue(all(version >= 1 for version in versions.values()), versions)
        self.assertTrue(self.stub.GetFeastServingInfo(messages.GetFeastServingInfoRequest(), timeout=20).version)

    def test_mistakes_have_their_codes(self):
        def request(features=(), entities=None, service=None):
            made = messages.GetOnlineFeaturesRequest(
                entities={name: column(values) for name, values in (entities or {"user_id": [1]}).items()})
            if service:
                made.feature_service = service
            elif features:
                made.features.val.extend(features)
            return made

        code = grpc.StatusCode
        self.assertIn("user_activity", self.fails(code.NOT_FOUND, request(["user_activty:views_7d"])))
        self.fails(code.NOT_FOUND, request(["user_activity:nothing"]))
        self.fails(code.NOT_FOUND, request(service="nothing"))
        self.fails(code.INVALID_ARGUMENT, request())
        self.fails(code.INVALID_ARGUMENT, request(["views_7d"]))
        self.fails(code.INVALID_ARGUMENT, request(["user_activity:views_7d"], {"item_id": ["x"]}))
        self.fails(code.INVALID_ARGUMENT, request(["user_activity:views_7d"], {"user_id": ["x"]}))
        self.fails(code.INVALID_ARGUMENT, request(["user_item:times"], {"user_id": [1, 2], "item_id": ["x"]}))
        self.fails(code.RESOURCE_EXHAUSTED, request(["user_activity:views_7d"], {"user_id": list(range(10_001))}))
        self.fails(code.RESOURCE_EXHAUSTED, request(["word:length"], {"word": ["x" * (5 << 20)]}))
        self.fails(code.DEADLINE_EXCEEDED, request(["user_activity:views_7d"]), timeout=1e-9)

    def test_health_is_the_standard_one(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        for service in ("", "feast.serving.ServingService", "tidemark.v1.FeatureService", "tidemark.v1.RecommendService"):
            self.assertEqual(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status, serving)
        with self.assertRaises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="x"), timeout=20)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20)
        self.assertEqual(next(watch).status, serving)
        watch.cancel()

    def test_unknown_methods_are_unimplemented(self):
        call = self.channel.unary_unary("/feast.serving.ServingService/Nothing")
        with self.assertRaises(grpc.RpcError) as caught:
            call(b"", timeout=20)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_rubbish_is_refused_and_harmless(self):
        call = self.channel.unary_unary("/feast.serving.ServingService/GetOnlineFeatures")
        generator = random.Random(7)
        for _ in range(300):
            with self.assertRaises(grpc.RpcError) as caught:
                call(generator.randbytes(generator.randint(1, 200)), timeout=20)
            self.assertNotIn(caught.exception.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED))
        # Values within values, deeper than anybody means it.
        deep = b""
        for _ in range(2_000):
            inner = b"\x0a" + varint(len(deep)) + deep
            deep = b"\xd2\x02" + varint(len(inner)) + inner
        entry = b"\x0a\x01x\x12" + varint(len(deep) + 1 + len(varint(len(deep)))) + b"\x0a" + varint(len(deep)) + deep
        with self.assertRaises(grpc.RpcError):
            call(b"\x1a" + varint(len(entry)) + entry, timeout=20)
        self.ask({"user_id": [1]}, ["user_activity:views_7d"])

    def test_our_own_service_answers_row_by_row(self):
        if not shutil.which("protoc"):
            self.skipTest("protoc is not installed")
        ours = Ours(self.channel, self.folder, "FeatureService", "Lookup")
        features = [f"type_matrix:{name}" for name in shop.TYPES]
        request = ours.request(features=features, ages=True)
        samples = [row["sample_id"] for row in VIEWS["type_matrix"].rows] + [NOBODY]
        request.keys["sample_id"].integers.values.extend(samples)
        answer = ours.call(request, timeout=20)
        self.assertEqual(list(answer.features), features)
        self.assertEqual(dict(answer.versions), {"type_matrix": 1})
        status = {name: number for number, name in ours.names("Status", "STATUS_").items()}
        for row, got in zip(VIEWS["type_matrix"].rows, answer.rows):
            for name, value in zip(shop.TYPES, got.values):
                self.assertEqual(our_value(value), row[name], name)
            expected = [status["PRESENT"] if row[name] is not None else status["NULL_VALUE"] for name in shop.TYPES]
            self.assertEqual(list(got.statuses) or [status["PRESENT"]] * len(features), expected)
            self.assertTrue(all(age > 0 for age in got.ages))
        self.assertEqual(set(answer.rows[-1].statuses), {status["NOT_FOUND"]})
        self.assertTrue(all(age != age for age in answer.rows[-1].ages))

    def test_items_are_those_of_http(self):
        if not shutil.which("protoc"):
            self.skipTest("protoc is not installed")
        ours = Ours(self.channel, self.folder, "RecommendService", "Recommend")
        for user in range(1, 6):
            asked = {"pipeline": "home", "entity": {"user_id": user}, "k": 2, "exclude": [shop.WORDS[0]]}
            request = urllib.request.Request(
                f"{self.url}/v1/recommend", json.dumps(asked).encode(), {"x-request-id": f"r{user}"})
            with urllib.request.urlopen(request, timeout=20) as answer:
                expected = json.load(answer)
            wanted = ours.request(pipeline="home", k=2)
            wanted.entity["user_id"].integer = user
            wanted.exclude.strings.values.append(shop.WORDS[0])
            answer, call = ours.call.with_call(wanted, timeout=20, metadata=(("x-request-id", f"r{user}"),))
            self.assertEqual(
                [{"id": item.id.string, "score": item.score, "source": item.source} for item in answer.items], expected["items"])
            self.assertEqual(len(answer.items), 2)
            self.assertEqual(ours.names("Rung", "RUNG_")[answer.rung].lower(), expected["rung"])
            self.assertEqual(dict(answer.degraded), expected.get("degraded", {}))
            self.assertEqual(answer.request_id, expected["request_id"])
            self.assertIn(("x-request-id", f"r{user}"), [tuple(pair) for pair in call.initial_metadata()])
        for wrong, code, field in (
                (ours.request(pipeline="hom"), grpc.StatusCode.NOT_FOUND, "pipeline"),
                (ours.request(), grpc.StatusCode.INVALID_ARGUMENT, "pipeline"),
                (ours.request(pipeline="home", k=0), grpc.StatusCode.INVALID_ARGUMENT, "k"),
                (ours.request(pipeline="home", k=10_000), grpc.StatusCode.RESOURCE_EXHAUSTED, "k")):
            with self.assertRaises(grpc.RpcError) as caught:
                ours.call(wrong, timeout=20)
            self.assertEqual(caught.exception.code(), code, caught.exception.details())
            self.assertTrue(caught.exception.details().startswith(f"{field}: "), caught.exception.details())
            details = dict(caught.exception.trailing_metadata())["grpc-status-details-bin"]
            self.assertIn(b"type.googleapis.com/google.rpc.BadRequest", details)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def our_value(value):
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "list":
        return [our_value(part) for part in value.list.values]
    if kind == "vector":
        return list(value.vector.values)
    return value.timestamp.ToDatetime(tzinfo=shop.UTC) if kind == "timestamp" else getattr(value, kind)


BY_USER = {name: {row["user_id"]: row for row in VIEWS[name].rows} for name in shop.BENCH}


def find_user(view, user):
    return BY_USER[view].get(user)


def main():
    parser = argparse.ArgumentParser(
        prog="ops/feast/grpc-compat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lookups", type=int, default=10_000)
    parser.add_argument("--filter", default="", help="only tests with this in their name")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-grpc."))
    servers, start = [], time.monotonic()
    try:
        servers.append(redis := stage.Redis(folder))
        port = stage.free_port()
        rows.make(
            folder, redis.port, USERS, feast=False, tidemark=True, registry=False,
            serve=f', grpc: "127.0.0.1:{port}", timeout: 5s, max_timeout: 30s')
        config = folder / "tidemark.yaml"
        config.write_text(config.read_text() + PIPELINE)
        stage.run([stage.tidemark_program(), "--config", config, "recall", "build"])
        servers.append(server := stage.TidemarkServer(folder))
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", 64 << 20)]) as channel:
            GRPC.channel, GRPC.stub, GRPC.folder, GRPC.lookups = channel, ServingServiceStub(channel), folder, options.lookups
            GRPC.url = server.url
            tests = unittest.defaultTestLoader.loadTestsFromTestCase(GRPC)
            if options.filter:
                tests = unittest.TestSuite(test for test in tests if options.filter in test.id())
            result = lines.Lines()
            tests.run(result)
        code = server.stop()
        if code:
            print(f"FAILED   the daemon ended with {code}:\n{server.tail()}")
        failed = len(result.failures) + len(result.errors) + bool(code)
        print(f"== {result.passed} passed, {failed} failed, {len(result.skipped)} skipped, {time.monotonic() - start:.0f} s")
        return 0 if failed == 0 and result.passed else 1
    finally:
        for server in reversed(servers):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    stage.end_on_sigterm()
    try:
        sys.exit(main())
    except stage.Trouble as trouble:
        sys.exit(f"grpc-compat: {trouble}")
