#!/usr/bin/env python3
"""compare-test [--keep]: proves that ops/compare-feast finds what differs, and that Tidemark serves what Feast materialized.

Feast materializes rows of every type into a Redis of the run; then Feast, Tidemark on Feast's rows and the comparison of both
are held against what was written. Prints a line a test; ends with 0 only if none failed."""
import argparse
import datetime
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import warnings

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
warnings.simplefilter("ignore")
import lines  # noqa: E402
import stage  # noqa: E402

UTC = datetime.timezone.utc
EVENT = datetime.datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
PROJECT = "materialized"
FEAST = pathlib.Path(sys.executable).parent / "feast"
DRIVERS = range(1, 201)
NOBODY = 99_999_999


def rows_of(view, seed=7):
    """Rows of a view as columns, `event_timestamp` among them."""
    generator = random.Random(f"{view} {seed}")
    if view == "driver_stats":
        rows = [{
            "driver_id": driver, "conv_rate": generator.random(), "acc_rate": generator.choice([generator.random(), 1.0, 1e-7, 1e22]),
            "trips": generator.choice([generator.randrange(100), 2 ** 53 + 1, -5]), "active": generator.random() < 0.5,
            "town": generator.choice(["Köln", "", "a\"b\\c", "東京", "x" * 300])} for driver in DRIVERS]
        for row in rows[10:20]:
            row["town"] = row["acc_rate"] = None
    elif view == "driver_more":
        rows = [{"driver_id": driver, "trips": driver * 2, "stars": driver % 5} for driver in DRIVERS if driver % 3]
    elif view == "user_item":
        rows = [{"user_id": user, "item_id": item, "times": user, "score": user / 8} for user in range(20) for item in ("i1", "i,2", "ï3", "")]
    elif view == "shelves":
        rows = [{"shelf": shelf, "width": shelf / 3} for shelf in (-1, 0, 1, 2 ** 31 - 1)]
    elif view == "aged":
        rows = [{"driver_id": driver, "age_value": driver} for driver in range(1, 21)]
    elif view == "everybody":
        rows = [{"drivers": 200, "season": "summer"}]
    elif view in ("maps", "late"):
        rows = [{"driver_id": driver, "late_value": driver * 7} for driver in range(1, 31)] if view == "late" else []
    for place, row in enumerate(rows):
        row["event_timestamp"] = EVENT + datetime.timedelta(seconds=place)
        if view == "aged" and row["driver_id"] <= 5:
            row["event_timestamp"] = datetime.datetime.now(UTC) - datetime.timedelta(minutes=5)
    return rows


def write_parquet(folder, views):
    import pyarrow
    import pyarrow.parquet

    narrow = {"conv_rate": pyarrow.float32(), "shelf": pyarrow.int32(), "stars": pyarrow.int32()}
    for view in views:
        rows = rows_of(view)
        columns = {
            name: pyarrow.array([row[name] for row in rows], pyarrow.timestamp("us", tz="UTC") if name == "event_timestamp" else narrow.get(name))
            for name in rows[0]}
        if view == "everybody":
            # Feast joins rows of a view without entities by a column of its own.
            columns["__dummy_id"] = pyarrow.array([""] * len(rows))
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / "data" / f"{view}.parquet")


def write_values(store, view, rows):
    """Rows as protobuf values, for types that no table has: through Feast's own Redis store."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey

    data = [(EntityKey(join_keys=[key], entity_values=[value]), values, event, event) for key, value, values, event in rows]
    store._get_provider().online_write_batch(store.config, store.get_feature_view(view), data, lambda _: None)


def matrix_rows():
    from feast.protos.feast.types import Value_pb2 as v

    Value = v.Value
    whole = {
        "a_bool": Value(bool_val=True), "an_int32": Value(int32_val=-7), "an_int64": Value(int64_val=2 ** 63 - 1),
        "a_float32": Value(float_val=0.85), "a_float64": Value(double_val=1e-07), "a_string": Value(string_val="Zoë \"q\" \u2028"),
        "some_bytes": Value(bytes_val=b"\x00\xff"), "a_time": Value(unix_timestamp_val=1714564800),
        "a_json": Value(json_val='{"a": 1}'), "a_uuid": Value(uuid_val="7b1e0a52-6d5f-4f8e-9d0c-0123456789ab"),
        "a_time_uuid": Value(time_uuid_val="c232ab00-9414-11ec-b3c8-9f6bdeced846"), "a_decimal": Value(decimal_val="12.50"),
        "bools": Value(bool_list_val=v.BoolList(val=[True, False])), "int32s": Value(int32_list_val=v.Int32List(val=[1, -2])),
        "int64s": Value(int64_list_val=v.Int64List(val=[2 ** 53 + 1])), "float32s": Value(float_list_val=v.FloatList(val=[1, 0.1])),
        "float64s": Value(double_list_val=v.DoubleList(val=[1, 0.1, 1e300])), "strings": Value(string_list_val=v.StringList(val=["a", ""])),
        "bytes_list": Value(bytes_list_val=v.BytesList(val=[b"\x01", b""])), "times": Value(unix_timestamp_list_val=v.Int64List(val=[0, 1714564800])),
        "uuids": Value(uuid_list_val=v.StringList(val=["7b1e0a52-6d5f-4f8e-9d0c-0123456789ab"])),
        "decimals": Value(decimal_list_val=v.StringList(val=["0.1", "-2"])), "string_set": Value(string_set_val=v.StringSet(val=["b", "a"])),
        "int64_set": Value(int64_set_val=v.Int64Set(val=[3, 1]))}
    strange = {
        **whole, "a_float32": Value(float_val=float("nan")), "a_float64": Value(double_val=float("-inf")),
        "float64s": Value(double_list_val=v.DoubleList(val=[float("nan"), float("inf")])), "a_string": Value(string_val=""),
        "an_int32": Value(int32_val=0), "a_time": Value(unix_timestamp_val=-1), "strings": Value(string_list_val=v.StringList()),
        "int64s": Value(int64_list_val=v.Int64List()), "a_bool": Value(bool_val=False)}
    stamps = [EVENT, EVENT.replace(microsecond=0), EVENT.replace(microsecond=123_456)]
    key = lambda number: Value(int64_val=number)  # noqa: E731
    return [
        ("sample_id", key(1), whole, stamps[0]), ("sample_id", key(2), strange, stamps[1]),
        # Nulls of both kinds, and a row of nothing else.
        ("sample_id", key(3), {name: Value() if place % 2 else Value(null_val=v.NULL) for place, name in enumerate(whole)}, stamps[2]),
        ("sample_id", key(4), {name: value if place % 2 else Value() for place, (name, value) in enumerate(whole.items())}, stamps[0]),
        # Features that came later than the row.
        ("sample_id", key(5), dict(list(whole.items())[:5]), stamps[1]), ("sample_id", key(-6), whole, EVENT.replace(year=1969))]


def feast(folder, *words, more=False):
    environment = {**stage.feast_environment(), "TIDEMARK_COMPARE_MORE": "yes" if more else "no"}
    return stage.run([FEAST, "--chdir", folder, *words], environment=environment)


class Daemon(stage.Server):
    """`tidemark serve` on Feast's rows, with statuses as they are."""

    def __init__(self, folder, registry, redis, project=PROJECT, more=""):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = stage.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "tidemark.yaml"
        self.config.write_text(f"""project: beside
serve:
  http: "127.0.0.1:{self.port}"
  timeout: 5s
  catalog_refresh: 50ms
  feast: {{registry: {json.dumps(str(registry))}, redis: "{redis}", project: {project}, command_timeout: 2s{more}}}
""")
        super().__init__("tidemark serve", [stage.tidemark_program(), "--config", self.config, "serve"], folder / "serve.log", folder=folder)

    def ready(self):
        self.wait_until(lambda: stage.answers(self.url + "/readyz"), 30)
        return self

    def ask(self, path, body):
        """(status, body) of a POST."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def health(self):
        try:
            with urllib.request.urlopen(self.url + "/readyz?verbose", timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def wait_for(self, text):
        self.wait_until(lambda: text in self.health(), 30)


class CompareTest(unittest.TestCase):
    folder = redis = repo = daemon = None

    @classmethod
    def url(cls, database=1):
        return f"redis://127.0.0.1:{cls.redis.port}/{database}"

    def compare(self, *words):
        """(exit code, the differences) of a comparison."""
        result = subprocess.run(
            [sys.executable, str(stage.HERE / "compare.py"), "--registry", str(self.repo / "registry.db"), "--redis", self.url(), *words],
            capture_output=True, timeout=240)
        text = result.stdout.decode()
        self.assertIn(result.returncode, (0, 3), text[-2_000:] + result.stderr.decode()[-2_000:])
        print("         " + text.strip().splitlines()[-1])
        return result.returncode, [line for line in text.splitlines() if line.startswith("differs")]

    def test_1_nothing_differs(self):
        code, differences = self.compare("--entities", "250")
        self.assertEqual((code, differences), (0, []))

    def test_2_nothing_differs_from_a_server_and_an_honest_daemon(self):
        server = stage.FeastServer(self.repo, workers=1)
        try:
            code, differences = self.compare("--entities", "60", "--feast", server.url, "--tidemark", self.daemon.url)
        finally:
            server.stop()
        self.assertEqual((code, differences), (0, []))

    def test_3_statuses_are_told_apart(self):
        status, body = self.daemon.ask("/v1/lookup", {
            "features": ["driver_stats:trips", "driver_stats:town", "driver_more:stars", "aged:age_value"],
            "entities": [{"driver_id": 1}, {"driver_id": 11}, {"driver_id": NOBODY}, {"driver_id": 12}], "ages": True})
        self.assertEqual(status, 200, body)
        source = {view: {row["driver_id"]: row for row in rows_of(view)} for view in ("driver_stats", "driver_more")}
        first, second, third, fourth = body["rows"]
        self.assertEqual(first["values"], [source["driver_stats"][1]["trips"], source["driver_stats"][1]["town"], 1, 1])
        self.assertNotIn("statuses", first)
        self.assertEqual(second["statuses"], ["PRESENT", "NULL_VALUE", "PRESENT", "OUTSIDE_MAX_AGE"])
        self.assertEqual(set(third["statuses"]), {"NOT_FOUND"})
        self.assertEqual(fourth["statuses"][2], "NOT_FOUND")
        self.assertGreater(first["ages"][3], 299)

    def test_4_writes_are_refused(self):
        for path in ("/push", "/write-to-online-store", "/materialize", "/materialize-incremental"):
            status, body = self.daemon.ask(path, {"feature_view_name": "driver_more", "df": {}})
            self.assertEqual(status, 403, path)
            self.assertEqual(json.loads(body)["class"], "FeastError")
            self.assertIn("only read here", body)

    def test_4_commands_read_the_same(self):
        def tidemark(*words):
            result = subprocess.run(
                [stage.tidemark_program(), "--config", self.daemon.config, *words], capture_output=True, timeout=60, text=True)
            return result.returncode, result.stdout, result.stderr

        self.assertEqual(tidemark("validate")[0], 0)
        code, said, errors = tidemark("doctor", "--json")
        self.assertEqual(code, 0, said + errors)
        self.assertTrue({"registry", "connection"} <= {finding["check"] for finding in json.loads(said) if finding["place"] == "serve.feast"}, said)
        features, drivers = ["driver_stats:trips", "driver_more:stars"], [1, 3, NOBODY]
        code, said, errors = tidemark(
            "lookup", "--features", ",".join(features), "--entity", "driver_id=" + ",".join(map(str, drivers)), "--json")
        self.assertEqual(code, 0, errors)
        status, body = self.daemon.ask("/v1/lookup", {"features": features, "entities": [{"driver_id": driver} for driver in drivers]})
        self.assertEqual((status, json.loads(said)["rows"]), (200, body["rows"]))
        code, _, errors = tidemark("apply")
        self.assertNotEqual(code, 0)
        self.assertIn("only read here", errors)

    def test_5_one_changed_value_is_one_difference(self):
        import redis

        from_feast = redis.Redis(port=self.redis.port, db=1)
        for key in from_feast.scan_iter(count=1_000):
            from_feast.copy(key, key, destination_db=2, replace=True)
        altered = redis.Redis(port=self.redis.port, db=2)
        key = next(key for key in altered.scan_iter(match=b"*driver_id*" + PROJECT.encode()) if altered.hget(key, b"_ts:driver_more"))
        from feast.infra.online_stores.helpers import _mmh3
        from feast.protos.feast.types.Value_pb2 import Value

        altered.hset(key, _mmh3("driver_more:trips"), Value(int64_val=-1).SerializeToString())
        daemon = Daemon(self.folder / "altered", self.repo / "registry.db", self.url(2)).ready()
        try:
            code, differences = self.compare("--entities", "250", "--tidemark", daemon.url)
        finally:
            daemon.stop()
        self.assertEqual(code, 3)
        # In its view, and in the service that has it.
        self.assertEqual(len(differences), 2, differences)
        self.assertTrue(all("driver_more__trips" in line and "Tidemark [-1," in line for line in differences), differences)

    def test_6_the_registry_is_followed(self):
        before = (self.repo / "registry.db").read_bytes()
        status, _ = self.daemon.ask("/v1/lookup", {"features": ["late:late_value"], "entities": [{"driver_id": 4}]})
        self.assertEqual(status, 404)
        # What is no registry changes nothing but the health.
        for rubbish in (b"SQLite format 3\0", b""):
            (self.repo / "registry.db").write_bytes(rubbish)
            self.daemon.wait_for("Feast's registry can't be read")
            status, body = self.daemon.ask("/v1/lookup", {"features": ["driver_more:trips"], "entities": [{"driver_id": 4}]})
            self.assertEqual((status, body["rows"]), (200, [{"values": [8]}]))
        (self.repo / "registry.db").unlink()
        self.daemon.wait_for("No such file")
        (self.repo / "registry.db").write_bytes(before)
        self.daemon.wait_for("[+]catalog ok")
        write_parquet(self.repo, ["late"])
        feast(self.repo, "apply", more=True)
        feast(self.repo, "materialize", "2024-01-01T00:00:00", "2025-01-01T00:00:00", "--views", "late", more=True)
        self.daemon.wait_until(
            lambda: self.daemon.ask("/v1/lookup", {"features": ["late:late_value"], "entities": [{"driver_id": 4}]})[0] == 200, 30)
        _, body = self.daemon.ask("/v1/lookup", {"features": ["late:late_value"], "entities": [{"driver_id": 4}]})
        self.assertEqual(body["rows"], [{"values": [28]}])

    def test_7_what_only_feast_serves_is_said(self):
        for features, words in ((["maps:a_map"], "type MAP"), (["computed:product"], "on-demand view")):
            for path in ("/v1/lookup", "/get-online-features"):
                entities = [{"sample_id": 1}] if path == "/v1/lookup" else {"sample_id": [1]}
                status, body = self.daemon.ask(path, {"features": features, "entities": entities})
                self.assertEqual(status, 400, body)
                self.assertIn(words, json.dumps(body))
        status, body = self.daemon.ask("/get-online-features", {"feature_service": "aliased", "entities": {"driver_id": [1]}})
        self.assertEqual(status, 400)
        self.assertIn("other_name", body)
        code, differences = self.compare("--entities", "20")
        self.assertEqual(code, 3)
        self.assertEqual([line.split()[1].rstrip(":") for line in differences], ["maps:a_map", "service"], differences)

    def test_8_wrong_settings_are_said(self):
        wrong = self.folder / "wrong"
        wrong.mkdir(exist_ok=True)
        (wrong / "empty.db").write_bytes(b"")
        (wrong / "other.db").write_bytes(b"SQLite format 3\0")
        registry = self.repo / "registry.db"
        for name, path, project, words in (
            ("missing", wrong / "nothing.db", PROJECT, "No such file"), ("folder", wrong, PROJECT, "no regular file"),
            ("empty", wrong / "empty.db", PROJECT, "no feature views"), ("other", wrong / "other.db", PROJECT, "no registry of Feast"),
            ("project", registry, "nowhere", f"it has those of {PROJECT}"),
        ):
            daemon = Daemon(wrong / name, path, self.url(), project)
            self.assertEqual(daemon.child.wait(30), 2, daemon.tail())
            self.assertIn(words, daemon.tail())

    def test_9_a_redis_that_is_down_is_said_in_the_answer(self):
        nowhere = stage.free_port()
        daemon = Daemon(self.folder / "down", self.repo / "registry.db", f"redis://127.0.0.1:{nowhere}/1").ready()
        try:
            status, body = daemon.ask("/v1/lookup", {"features": ["driver_more:trips"], "entities": [{"driver_id": 4}]})
            self.assertEqual(status, 200)
            self.assertEqual(body["rows"], [{"values": [None], "statuses": ["FAILED"]}])
            self.assertIn("driver_more", json.dumps(body["degraded"]))
        finally:
            self.assertEqual(daemon.stop(), 0)


def prepare(folder, redis):
    """A repository that is applied, and rows that Feast wrote."""
    repo = folder / "feast"
    (repo / "data").mkdir(parents=True)
    shutil.copy(stage.HERE / "materialized" / "features.py", repo / "features.py")
    (repo / "feature_store.yaml").write_text(f"""project: {PROJECT}
provider: local
registry: {{path: "{repo}/registry.db", cache_ttl_seconds: 0}}
online_store: {{type: redis, connection_string: "127.0.0.1:{redis.port},db=1"}}
offline_store: {{type: dask}}
entity_key_serialization_version: 3
auth: {{type: no_auth}}
""")
    views = ["driver_stats", "driver_more", "user_item", "shelves", "aged", "everybody"]
    write_parquet(repo, views)
    feast(repo, "apply")
    until = (datetime.datetime.now(UTC) + datetime.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S")
    feast(repo, "materialize", "2024-01-01T00:00:00", until, *(word for view in views for word in ("--views", view)))
    os.environ.update(stage.feast_environment())
    from feast import FeatureStore
    from feast.protos.feast.types.Value_pb2 import Value

    store = FeatureStore(repo_path=str(repo))
    write_values(store, "type_matrix", matrix_rows())
    write_values(store, "hours", [
        ("hour", Value(unix_timestamp_val=1714564800 + hour * 3600), {"load": Value(float_val=hour / 24)}, EVENT) for hour in range(24)])
    return repo


def main():
    parser = argparse.ArgumentParser(prog="ops/feast/compare-test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="", help="only tests with this in their name")
    parser.add_argument("--keep", action="store_true", help="leaves the folder, and says where it is")
    options = parser.parse_args()
    folder, start, servers = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-compare-test.")), time.monotonic(), []
    try:
        servers.append(redis := stage.Redis(folder))
        CompareTest.folder, CompareTest.redis = folder, redis
        CompareTest.repo = prepare(folder, redis)
        stage.say(f"Feast materialized in {time.monotonic() - start:.0f} s")
        servers.append(daemon := Daemon(folder / "beside", CompareTest.repo / "registry.db", CompareTest.url()))
        CompareTest.daemon = daemon.ready()
        tests = unittest.TestSuite(
            test for test in unittest.defaultTestLoader.loadTestsFromTestCase(CompareTest) if options.filter in test.id())
        result = lines.Lines()
        tests.run(result)
        failed = len(result.failures) + len(result.errors)
        if code := daemon.stop():
            failed += 1
            print(f"FAILED   the daemon ended with {code}:\n{daemon.tail()}")
        print(f"== {result.passed} passed, {failed} failed, {time.monotonic() - start:.0f} s")
        return 0 if failed == 0 and result.passed else 1
    finally:
        for server in reversed(servers):
            server.stop()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    stage.end_on_sigterm()
    try:
        sys.exit(main())
    except stage.Trouble as trouble:
        sys.exit(f"compare-test: {trouble}")
