"""What an unmodified Feast SDK must get from a server that speaks Feast's wire; ops/feast/compat runs it.

`Suite.server` is "feast" or "tidemark". Feast on Redis can't tell a missing entity from a null, ignores max_age and answers
mistakes with 500; where it differs from what Tidemark promises a test says both, and the run prints them."""
import contextlib
import datetime
import json
import logging
import sqlite3
import subprocess
import time
import unittest
import urllib.error
import urllib.request

import pandas
import requests
import shop
import stage
from feast import FeatureService, FeatureStore
from feast import errors as feast_errors
from feast.data_source import PushMode
from feast.infra.online_stores.remote import RemoteOnlineStore
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values

ROWS = {view.name: view for view in shop.all_views(200)}
NOBODY = 99_999_999
UNKNOWN_TIME = "1970-01-01T00:00:00Z"
differences = {}


def differs(what, feast, tidemark, by_setting=False):
    """Says that the two promise different things here, and what the one under test promises. `serve.feast_statuses: feast`
    makes Tidemark do as Feast where it may."""
    differences[what] = (feast, tidemark)
    return feast if Suite.server == "feast" or (by_setting and Suite.imitates) else tidemark


def status_name(number):
    return FieldStatus.Name(number)


def find(view, **keys):
    return next((row for row in ROWS[view].rows if all(row[key] == value for key, value in keys.items())), None)


def routes_missing(path):
    """Why a route can't be tested: it isn't there, or says that it isn't done here."""
    status, body = post(path, {})
    # A 404 of the route's own has Feast's words in it.
    is_missing = status == 501 or (status in (404, 405) and "module" not in body)
    return f"{path} answers {status}: {body[:160]}" if is_missing else None


def needs(path):
    """Skips a test while a route isn't there."""
    def wrap(test):
        def wrapped(self):
            if reason := routes_missing(path):
                self.skipTest(reason)
            test(self)
        wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
        return wrapped
    return wrap


def send(method, path, data=None, headers=None):
    """Status, text and headers of a plain request."""
    request = urllib.request.Request(Suite.url + path, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def post(path, body, content_type="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": content_type} if content_type else {}
    return send("POST", path, data, headers)[:2]


class Suite(unittest.TestCase):
    server = url = None
    # Whether Tidemark was told to word statuses as Feast does.
    imitates = False
    store: FeatureStore = None
    folder = None
    tidemark = None
    maxDiff = 4_000

    # MARK: helpers

    def columns(self, body):
        """{name: (values, statuses, timestamps)} of a Feast answer, whose columns are in any order."""
        status, text = post("/get-online-features", body)
        self.assertEqual(status, 200, text)
        answer = json.loads(text)
        names = answer["metadata"]["feature_names"]
        self.assertEqual(len(names), len(answer["results"]))
        self.assertEqual(len(names), len(set(names)), "a name comes twice")
        count = len(next(iter(body["entities"].values())))
        found = {}
        for name, result in zip(names, answer["results"]):
            for part in ("values", "statuses", "event_timestamps"):
                self.assertEqual(len(result[part]), count, (name, part))
            found[name] = (result["values"], result["statuses"], result["event_timestamps"])
        return found

    def ask(self, features, entities, **options):
        return self.store.get_online_features(features=features, entity_rows=entities, **options)

    def statuses(self, response, name):
        place = list(response.proto.metadata.feature_names.val).index(name)
        return [status_name(status) for status in response.proto.results[place].statuses]

    def check_users(self, users, features, **options):
        """Asks for features of users and compares every value with the rows that make-rows wrote."""
        response = self.ask(features, [{"user_id": user} for user in users], **options).to_dict()
        self.assertEqual(response["user_id"], list(users))
        for reference in features:
            view, feature = reference.split(":")
            name = f"{view}__{feature}" if options.get("full_feature_names") else feature
            self.assertEqual(response[name], [find(view, user_id=user)[feature] for user in users], reference)
        self.assertEqual(len(response), 1 + len(features))

    def fails(self, call):
        """The exception that a call ends with."""
        try:
            result = call()
        except Exception as error:
            return error
        self.fail(f"answered: {result!r}")

    def check_mistake(self, call, types, words=()):
        """Feast answers this mistake of a client with 500, which its SDK retries and then reports without the message."""
        error = self.fails(call)
        if self.server == "feast":
            self.assertIsInstance(error, (requests.exceptions.RequestException, feast_errors.FeastError))
            return None
        self.assertIsInstance(error, types)
        for word in words:
            self.assertIn(word, str(error))
        return error

    # MARK: reads

    def test_list_of_features(self):
        """Thirty features of three views, for twenty users."""
        self.check_users(range(1, 21), shop.references(*shop.BENCH))

    def test_all_present(self):
        response = self.ask(shop.references("user_spend"), [{"user_id": 1}, {"user_id": 2}])
        for name in shop.BENCH["user_spend"]:
            self.assertEqual(self.statuses(response, name), ["PRESENT"] * 2)

    def test_full_feature_names(self):
        self.check_users([3, 1], shop.references("user_activity", "user_taste"), full_feature_names=True)

    def test_feature_service(self):
        service = self.store.get_feature_service("ranker")
        response = self.ask(service, [{"user_id": 7}, {"user_id": 8}]).to_dict()
        expected = {"user_id": [7, 8]}
        for reference in shop.SERVICES["ranker"]:
            view, feature = reference.split(":")
            expected[feature] = [find(view, user_id=user)[feature] for user in (7, 8)]
        self.assertEqual(response, expected)

    def test_whole_view_in_a_service(self):
        service = self.store.get_feature_service("everything")
        response = self.ask(service, [{"user_id": 9}], full_feature_names=True).to_dict()
        self.assertEqual(len(response), 31)
        for view, features in shop.BENCH.items():
            for feature in features:
                self.assertEqual(response[f"{view}__{feature}"], [find(view, user_id=9)[feature]])

    def test_many_entities(self):
        users = [1 + shop.number(place) % 200 for place in range(1_000)]
        self.check_users(users, ["user_activity:views_7d", "user_spend:country", "user_taste:price_low"])

    def test_the_same_entity_twice(self):
        self.check_users([4, 4, 5, 4], ["user_activity:views_7d", "user_taste:favourite"])

    def test_missing_entities(self):
        response = self.ask(["user_activity:views_7d", "user_spend:country"], [{"user_id": 1}, {"user_id": NOBODY}])
        values = response.to_dict()
        self.assertEqual(values["views_7d"], [find("user_activity", user_id=1)["views_7d"], None])
        self.assertEqual(values["country"], [find("user_spend", user_id=1)["country"], None])
        missing = differs("status of an entity never written", "PRESENT", "NOT_FOUND", by_setting=True)
        self.assertEqual(self.statuses(response, "views_7d"), ["PRESENT", missing])
        self.assertEqual(self.statuses(response, "country"), ["PRESENT", missing])

    def test_only_missing_entities(self):
        response = self.ask(["user_activity:views_7d"], [{"user_id": NOBODY}, {"user_id": -5}]).to_dict()
        self.assertEqual(response, {"user_id": [NOBODY, -5], "views_7d": [None, None]})

    def test_nulls(self):
        features = [name for name in shop.TYPES if name != "f_timestamp"]
        response = self.ask([f"type_matrix:{name}" for name in features], [{"sample_id": 5}])
        null = differs("status of a null in a row that is there", "PRESENT", "NULL_VALUE", by_setting=True)
        for name in features:
            self.assertEqual(response.to_dict()[name], [None], name)
            self.assertEqual(self.statuses(response, name), [null], name)

    def test_null_timestamp(self):
        response = self.ask(["type_matrix:f_timestamp"], [{"sample_id": 5}]).to_dict()
        expected = differs("a null timestamp", -(2**63), None)
        self.assertEqual(response["f_timestamp"], [expected])

    def test_composite_keys(self):
        rows = [{"user_id": row["user_id"], "item_id": row["item_id"]} for row in ROWS["user_item"].rows]
        response = self.ask(["user_item:times", "user_item:score"], rows)
        self.assertEqual(response.to_dict()["times"], [row["times"] for row in ROWS["user_item"].rows])
        self.assertEqual(response.to_dict()["score"], [row["score"] for row in ROWS["user_item"].rows])

    def test_order_of_join_keys_is_the_client_s(self):
        swapped = [{"item_id": "i,2", "user_id": 4}, {"item_id": "i1", "user_id": 99}]
        response = self.ask(["user_item:times"], swapped).to_dict()
        self.assertEqual(response["times"], [find("user_item", user_id=4, item_id="i,2")["times"], None])

    def test_keys_of_text(self):
        response = self.ask(["word:length", "word:share"], [{"word": word} for word in shop.WORDS]).to_dict()
        self.assertEqual(response["word"], shop.WORDS)
        self.assertEqual(response["length"], [row["length"] for row in ROWS["word"].rows])

    def test_columns_of_entities(self):
        """Entities as columns, the other way that the SDK takes them."""
        response = self.store.get_online_features(features=["user_spend:spend_7d"], entity_rows={"user_id": [2, 3]}).to_dict()
        self.assertEqual(response["spend_7d"], [find("user_spend", user_id=user)["spend_7d"] for user in (2, 3)])

    def test_views_of_different_entities(self):
        response = self.ask(["user_item:times", "user_activity:views_7d"], [{"user_id": 2, "item_id": "i1"}]).to_dict()
        self.assertEqual(response["times"], [find("user_item", user_id=2, item_id="i1")["times"]])
        self.assertEqual(response["views_7d"], [find("user_activity", user_id=2)["views_7d"]])

    def test_keys_that_no_view_needs(self):
        body = {"features": ["user_activity:views_7d"], "entities": {"user_id": [1], "item_id": ["i1"]}}
        found = self.columns(body)
        self.assertEqual(found["views_7d"][0], [find("user_activity", user_id=1)["views_7d"]])

    def test_max_age(self):
        """A row older than its view allows."""
        response = self.ask(["aged:aged_value"], [{"sample_id": 1}])
        status = differs("status of a row older than its view allows", "PRESENT", "OUTSIDE_MAX_AGE", by_setting=True)
        value = differs("value of a row older than its view allows", 1, None, by_setting=True)
        self.assertEqual(self.statuses(response, "aged_value"), [status])
        self.assertEqual(response.to_dict()["aged_value"], [value])

    def test_version_metadata(self):
        response = self.ask(
            ["user_activity:views_7d", "user_spend:spend_7d"], [{"user_id": 1}], include_feature_view_version_metadata=True)
        metadata = {view.name: view.version for view in response.proto.metadata.feature_view_metadata}
        self.assertEqual(set(metadata), {"user_activity", "user_spend"})
        version = differs("version of a view that was applied once", 0, 1)
        self.assertEqual(set(metadata.values()), {version})
        without = self.ask(["user_activity:views_7d"], [{"user_id": 1}])
        self.assertEqual(len(without.proto.metadata.feature_view_metadata), 0)

    # MARK: types

    def test_type_matrix(self):
        """Every type, every row: what the SDK hands out is what is in the JSON."""
        for row in ROWS["type_matrix"].rows[:4]:
            response = self.ask([f"type_matrix:{name}" for name in shop.TYPES], [{"sample_id": row["sample_id"]}]).to_dict()
            for name in shop.TYPES:
                self.assertEqual(response[name], [shop.wire(row[name])], (row["sample_id"], name))

    def test_text_of_numbers(self):
        """The digits themselves: whole floats keep their point, float32 is widened to double, integers are exact."""
        features = ["f_int32", "f_int64", "f_float32", "f_float64", "f_timestamp", "l_float32", "l_float64", "l_int64", "v_3"]
        body = {"features": [f"type_matrix:{name}" for name in features], "entities": {"sample_id": [1, 2, 3, 4]}}
        status, text = post("/get-online-features", body)
        self.assertEqual(status, 200, text)
        answer = json.loads(text, parse_float=lambda digits: ("float", digits), parse_int=lambda digits: ("int", digits))

        def written(value):
            if isinstance(value, list):
                return [written(element) for element in value]
            if isinstance(value, float):
                return ("float", repr(value))
            return ("int", str(value)) if isinstance(value, int) and not isinstance(value, bool) else value

        for name, result in zip(answer["metadata"]["feature_names"], answer["results"]):
            if name in features:
                expected = [written(shop.wire(row[name])) for row in ROWS["type_matrix"].rows[:4]]
                self.assertEqual(result["values"], expected, name)

    def test_compact_json(self):
        body = {"features": ["user_activity:views_7d"], "entities": {"user_id": [1]}}
        text = post("/get-online-features", body)[1]
        self.assertEqual(text, json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False))
        self.assertEqual([key for key in json.loads(text)][:2], ["results", "metadata"])

    def test_typed_online_read(self):
        """`online_read`, which gives values their declared types."""
        view = self.store.get_feature_view("type_matrix")
        # Bytes come back as the bytes of their base64 text from every server: so the SDK reads them.
        features = [name for name in shop.TYPES if "bytes" not in shop.TYPES[name] and "timestamp" not in shop.TYPES[name]]
        keys = [EntityKey(join_keys=["sample_id"], entity_values=[Value(int64_val=number)]) for number in (1, 2, 3)]
        types = {field.name: field.dtype.to_value_type() for field in view.features}
        logging.getLogger("feast").setLevel(logging.ERROR)
        for key, row in zip(keys, ROWS["type_matrix"].rows):
            (_, values), = RemoteOnlineStore().online_read(self.store.config, view, [key], features)
            for name in features:
                self.assertEqual(values[name], python_values_to_proto_values([row[name]], types[name])[0], name)

    def test_event_times(self):
        found = self.columns({
            "features": ["user_activity:views_7d", "user_spend:spend_7d", "type_matrix:f_bool"],
            "entities": {"user_id": [1, 2, NOBODY], "sample_id": [1, 2, 5]}})
        self.assertEqual(found["user_id"][2], [UNKNOWN_TIME] * 3)
        self.assertEqual(found["user_id"][1], ["PRESENT"] * 3)
        for name, view in (("views_7d", "user_activity"), ("spend_7d", "user_spend")):
            expected = [shop.stamp(find(view, user_id=user)["event"]) for user in (1, 2)] + [UNKNOWN_TIME]
            self.assertEqual(found[name][2], expected)
        self.assertEqual(found["f_bool"][2][2], shop.stamp(find("type_matrix", sample_id=5)["event"]))

    # MARK: mistakes come back as Feast's own exceptions

    def test_unknown_view(self):
        error = self.fails(lambda: self.ask(["nope:x"], [{"user_id": 1}]))
        self.assertIsInstance(error, feast_errors.FeatureViewNotFoundException)
        self.assertIn("nope", str(error))

    def test_unknown_service(self):
        service = FeatureService(name="nope", features=[self.store.get_feature_view("word")])
        error = self.fails(lambda: self.ask(service, [{"word": "plain"}]))
        self.assertIsInstance(error, feast_errors.FeatureServiceNotFoundException)
        self.assertIn("nope", str(error))

    def test_unknown_feature(self):
        self.check_mistake(lambda: self.ask(["user_activity:nope"], [{"user_id": 1}]), feast_errors.FeastError, ["nope"])

    def test_collision_of_names(self):
        """Two views with a feature of one name, without full names."""
        features = ["aged:label", "live:label"]
        self.check_mistake(lambda: self.ask(features, [{"sample_id": 1}]), feast_errors.FeatureNameCollisionError, ["label"])
        found = self.ask(features, [{"sample_id": NOBODY}], full_feature_names=True).to_dict()
        self.assertEqual(found, {"sample_id": [NOBODY], "aged__label": [None], "live__label": [None]})

    def test_entity_of_another_type(self):
        self.check_mistake(lambda: self.ask(["user_activity:views_7d"], [{"user_id": "abc"}]), (feast_errors.FeastError, RuntimeError), ["user_id"])

    def test_entity_that_is_null(self):
        self.check_mistake(lambda: self.ask(["user_activity:views_7d"], [{"user_id": None}]), (feast_errors.FeastError, RuntimeError), ["user_id"])

    def test_join_key_left_out(self):
        self.check_mistake(lambda: self.ask(["user_activity:views_7d"], [{"item_id": "i1"}]), (feast_errors.FeastError, RuntimeError), ["user_id"])

    def test_no_features(self):
        self.check_mistake(lambda: self.ask([], [{"user_id": 1}]), (feast_errors.FeastError, RuntimeError))

    def test_status_codes(self):
        """4xx for each mistake, with a body that the SDK can read; Feast says 500, which clients retry."""
        entity = {"user_id": [1]}
        cases = {
            "unknown view": (404, 404, {"features": ["nope:x"], "entities": entity}),
            "unknown service": (404, 404, {"feature_service": "nope", "entities": entity}),
            "unknown feature": (500, None, {"features": ["user_activity:nope"], "entities": entity}),
            "ragged columns": (500, None, {"features": ["user_item:times"], "entities": {"user_id": [1, 2], "item_id": ["a"]}}),
            "no features": (500, None, {"features": [], "entities": entity}),
            "text for a number": (500, None, {"features": ["user_activity:views_7d"], "entities": {"user_id": ["a"]}}),
            "null for a key": (500, None, {"features": ["user_activity:views_7d"], "entities": {"user_id": [None]}}),
            "no join key": (500, None, {"features": ["user_activity:views_7d"], "entities": {"item_id": ["a"]}}),
            "no entities": (422, 422, {"features": ["user_activity:views_7d"]}),
            "entities of another shape": (422, 422, {"features": ["user_activity:views_7d"], "entities": [1]}),
            "features of another shape": (422, 422, {"features": "x", "entities": entity}),
        }
        for name, (feast, tidemark, body) in cases.items():
            status, text = post("/get-online-features", body)
            if self.server == "feast":
                self.assertEqual(status, feast, (name, text))
            elif tidemark:
                self.assertEqual(status, tidemark, (name, text))
            else:
                self.assertTrue(400 <= status < 500 and status != 429, (name, status, text))
                detail = json.loads(text)
                detail = json.loads(detail) if isinstance(detail, str) else detail
                self.assertTrue({"module", "class", "message"} <= set(detail) or "detail" in detail, (name, text))
            if feast != tidemark:
                differences[f"HTTP status: {name}"] = (feast, "4xx")

    def test_no_json(self):
        for body in (b"", b"{", b'{"features":', b"\xff\xfe", b'{"features":["a:b"],"entities":{"user_id":[1,]}}'):
            status, text = post("/get-online-features", body)
            self.assertEqual(status, 422 if self.server == "tidemark" else status, text)
            self.assertTrue(400 <= status < 500, (body, status, text))
            self.assertIn("detail", json.loads(text))

    def test_any_content_type(self):
        """`curl -d`, as in Feast's own manual."""
        body = {"features": ["user_activity:views_7d"], "entities": {"user_id": [1]}}
        for kind in ("application/x-www-form-urlencoded", "text/plain", None):
            status, text = post("/get-online-features", body, kind)
            self.assertEqual(status, differs("a body sent as another content type", 422, 200), text)

    def test_health(self):
        status, text, _ = send("GET", "/health")
        self.assertEqual((status, text), (200, ""))

    def test_unknown_route_and_method(self):
        self.assertEqual(send("GET", "/nope")[0], 404)
        status, text, _ = send("GET", "/get-online-features")
        self.assertEqual(status, 405, text)
        self.assertIn("detail", json.loads(text))

    def test_type_of_answers(self):
        body = json.dumps({"features": ["user_activity:views_7d"], "entities": {"user_id": [1]}}).encode()
        headers = send("POST", "/get-online-features", body, {"Content-Type": "application/json"})[2]
        self.assertTrue(headers["Content-Type"].startswith("application/json"), headers["Content-Type"])

    # MARK: writes

    def frame(self, event, **columns):
        count = len(next(iter(columns.values())))
        data = {name: pandas.Series(values, dtype=object) for name, values in columns.items()}
        return pandas.DataFrame({**data, "event_timestamp": pandas.Series([event] * count)})

    def live(self, sample):
        response = self.ask(["live:clicks", "live:rate", "live:label"], [{"sample_id": sample}]).to_dict()
        return [response[name][0] for name in ("clicks", "rate", "label")]

    @needs("/write-to-online-store")
    def test_write(self):
        event = datetime.datetime(2025, 1, 1, tzinfo=shop.UTC)
        frame = self.frame(event, sample_id=[101, 102], clicks=[5, 9007199254740993], rate=[1.0, 0.1], label=["Zoë 🦉", ""])
        self.store.write_to_online_store("live", df=frame)
        self.assertEqual(self.live(101), [5, 1.0, "Zoë 🦉"])
        self.assertEqual(self.live(102), [9007199254740993, 0.1, ""])
        found = self.columns({"features": ["live:clicks"], "entities": {"sample_id": [101]}})
        self.assertEqual(found["clicks"][2], ["2025-01-01T00:00:00Z"])

    @needs("/write-to-online-store")
    def test_newest_wins(self):
        for day, clicks, expected in ((2, 20, 20), (3, 30, 30), (1, 10, 30)):
            event = datetime.datetime(2025, 1, day, tzinfo=shop.UTC)
            self.store.write_to_online_store("live", df=self.frame(event, sample_id=[103], clicks=[clicks], rate=[0.5], label=["x"]))
            self.assertEqual(self.live(103)[0], expected, f"after the write of day {day}")

    @needs("/write-to-online-store")
    def test_correction_at_the_same_time(self):
        event = datetime.datetime(2025, 1, 1, tzinfo=shop.UTC)
        for clicks in (1, 2):
            self.store.write_to_online_store("live", df=self.frame(event, sample_id=[104], clicks=[clicks], rate=[0.5], label=["x"]))
        self.assertEqual(self.live(104)[0], differs("another value with the same event time", 1, 2))

    @needs("/write-to-online-store")
    def test_write_nulls(self):
        event = datetime.datetime(2025, 1, 1, tzinfo=shop.UTC)
        self.store.write_to_online_store(
            "live", df=self.frame(event, sample_id=[105, 106], clicks=[None, 1], rate=[0.5, None], label=["x", None]))
        self.assertEqual(self.live(105), [None, 0.5, "x"])
        self.assertEqual(self.live(106), [1, None, None])

    @needs("/write-to-online-store")
    def test_write_composite_keys(self):
        event = datetime.datetime(2025, 1, 1, tzinfo=shop.UTC)
        self.store.write_to_online_store(
            "user_item", df=self.frame(event, user_id=[50, 50], item_id=["new,1", "new 2"], times=[1, 2], score=[0.5, 1.5]))
        rows = [{"user_id": 50, "item_id": "new,1"}, {"user_id": 50, "item_id": "new 2"}]
        self.assertEqual(self.ask(["user_item:times"], rows).to_dict()["times"], [1, 2])

    @needs("/write-to-online-store")
    def test_write_every_type(self):
        # The SDK can't send bytes (they are no JSON); every other type goes there and back.
        names = [name for name in shop.TYPES if "bytes" not in shop.TYPES[name]]
        event = datetime.datetime(2025, 1, 1, tzinfo=shop.UTC)
        source = ROWS["type_matrix"].rows[:4]
        frame = {"sample_id": [200 + place for place in range(4)]}
        frame.update({name: [row[name] for row in source] for name in shop.TYPES})
        for name in ("f_bytes", "l_bytes"):
            frame[name] = [None] * 4
        self.store.write_to_online_store("type_matrix", df=self.frame(event, **frame))
        response = self.ask([f"type_matrix:{name}" for name in names], [{"sample_id": 200 + place} for place in range(4)]).to_dict()
        for name in names:
            self.assertEqual(response[name], [shop.wire(row[name]) for row in source], name)

    @needs("/write-to-online-store")
    def test_push_by_the_sdk(self):
        event = datetime.datetime(2025, 1, 1, tzinfo=shop.UTC)
        frame = self.frame(event, sample_id=[107], clicks=[7], rate=[0.25], label=["pushed"])
        self.store.push("live", frame, to=PushMode.ONLINE)
        self.assertEqual(self.live(107), [7, 0.25, "pushed"])

    @needs("/write-to-online-store")
    def test_write_answers_null(self):
        body = {"feature_view_name": "live", "df": {
            "sample_id": [108], "clicks": [1], "rate": [0.5], "label": ["x"], "event_timestamp": ["2025-01-01T00:00:00"], "created": [None]}}
        self.assertEqual(post("/write-to-online-store", body), (200, "null"))
        self.assertEqual(self.live(108), [1, 0.5, "x"])

    @needs("/write-to-online-store")
    def test_write_to_an_unknown_view(self):
        body = {"feature_view_name": "nope", "df": {"sample_id": [1], "event_timestamp": ["2025-01-01T00:00:00"], "created": [None]}}
        status, text = post("/write-to-online-store", body)
        self.assertEqual(status, 404, text)
        found = getattr(feast_errors, json.loads(json.loads(text))["class"])
        self.assertTrue(issubclass(found, feast_errors.FeastObjectNotFoundException), text)

    @needs("/push")
    def test_push(self):
        body = {"push_source_name": "live", "to": "online", "df": {
            "sample_id": [109], "clicks": [9], "rate": [1.0], "label": ["p"], "event_timestamp": ["2025-01-01T00:00:00"],
            "created": ["2025-01-01T00:00:01"]}}
        self.assertEqual(post("/push", body), (200, ""))
        self.assertEqual(self.live(109), [9, 1.0, "p"])

    @needs("/push")
    def test_unknown_push_source(self):
        body = {"push_source_name": "nope", "df": {"sample_id": [1], "event_timestamp": ["2025-01-01T00:00:00"]}}
        status, text = post("/push", body)
        self.assertEqual(status, 422, text)
        self.assertEqual(json.loads(json.loads(text))["class"], "PushSourceNotFoundException")

    # MARK: materialize

    def change_source(self, sample, clicks, month):
        """A newer row of `live` in the source: the Parquet file of Feast, the SQLite table of Tidemark."""
        event = datetime.datetime(2025, month, 1, tzinfo=shop.UTC)
        if self.server == "feast":
            path = self.folder / "feast" / "data" / "live.parquet"
            frame = pandas.read_parquet(path)
            added = pandas.DataFrame({
                "sample_id": [sample], "clicks": [clicks], "rate": [0.5], "label": ["sourced"],
                "event_timestamp": pandas.Series([event]).astype(frame["event_timestamp"].dtype)})
            pandas.concat([frame, added]).to_parquet(path)
            return
        with sqlite3.connect(self.folder / "source.db") as database:
            database.execute(
                "INSERT OR REPLACE INTO live (sample_id, clicks, rate, label, event) VALUES (?, ?, 0.5, 'sourced', ?)",
                (sample, clicks, round(event.timestamp() * 1000)))

    @contextlib.contextmanager
    def sync_service(self):
        """Tidemark accepts the request, and its sync service does the work; Feast does it before it answers."""
        if self.server == "feast":
            yield
            return
        service = subprocess.Popen(
            [stage.tidemark_program(), "--config", self.folder / "tidemark.yaml", "sync", "live"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            service.terminate()
            service.wait(30)

    def assert_live(self, sample, expected):
        """The row comes within the view's own interval of 30 s: with Feast at once."""
        end = time.monotonic() + (0 if self.server == "feast" else 25)
        while (found := self.live(sample)) != expected and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(found, expected)

    @needs("/materialize")
    def test_materialize(self):
        with self.sync_service():
            self.change_source(110, 11, 2)
            self.store.materialize(
                datetime.datetime(2025, 1, 31, tzinfo=shop.UTC), datetime.datetime(2025, 2, 2, tzinfo=shop.UTC),
                feature_views=["live"])
            self.assert_live(110, [11, 0.5, "sourced"])

    @needs("/materialize-incremental")
    def test_materialize_incremental(self):
        # Newer than what was materialized before: Feast reads nothing older again.
        with self.sync_service():
            self.change_source(111, 12, 3)
            self.store.materialize_incremental(datetime.datetime(2025, 3, 2, tzinfo=shop.UTC), feature_views=["live"])
            self.assert_live(111, [12, 0.5, "sourced"])

    @needs("/materialize")
    def test_materialize_an_unknown_view(self):
        error = self.fails(lambda: self.store.materialize(
            datetime.datetime(2025, 1, 1), datetime.datetime(2025, 1, 2), feature_views=["nope"]))
        self.assertIsInstance(error, RuntimeError)
        self.assertIn("404", str(error))
