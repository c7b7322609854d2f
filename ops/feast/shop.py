"""What Feast and Tidemark both serve in the comparisons: the views of schemas/feast-bench, and their rows, which are a function
of the entity alone, so that both sides can be filled without asking each other."""
import base64
import datetime
import json
import pathlib
import struct
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFINITIONS = ROOT / "schemas" / "feast-bench"
PROJECT = "feast_bench"
UTC = datetime.timezone.utc
FIRST_EVENT = datetime.datetime(2024, 5, 1, 12, tzinfo=UTC)

MASK = (1 << 64) - 1


def number(*parts):
    """64 random bits that are the same for the same integers (splitmix64)."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = (state + (part & MASK) * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & MASK
        state ^= state >> 30
        state = state * 0xBF58476D1CE4E5B9 & MASK
        state ^= state >> 27
        state = state * 0x94D049BB133111EB & MASK
        state ^= state >> 31
    return state


def float32(value):
    """The nearest float32, as Python's float."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


@dataclass
class View:
    """A view: keys and features with Tidemark's types, and rows as {name: value} with `event` a datetime."""

    name: str
    entity: str
    keys: dict
    features: dict
    rows: list = field(default_factory=list)

    @property
    def columns(self):
        return {**self.keys, **self.features}


COUNTRIES = ["DE", "FR", "Ελλάδα", "日本", "US"]
EVENTS = ["view", "addtocart", "transaction"]
SEGMENTS = ["new", "regular \"gold\"", "lapsed/back\\again", "whale 🐋", ""]

BENCH = {
    "user_activity": {
        "views_7d": "int64", "carts_7d": "int64", "orders_7d": "int64", "sessions_30d": "int64", "last_item": "int64",
        "last_event": "string", "segment": "string", "ctr_7d": "float64", "dwell_7d": "float32", "is_member": "bool",
    },
    "user_spend": {
        "orders_90d": "int64", "items_90d": "int64", "returns_90d": "int64", "spend_7d": "float64", "spend_30d": "float64",
        "spend_90d": "float64", "avg_basket": "float64", "max_discount": "float32", "country": "string", "has_coupon": "bool",
    },
    "user_taste": {
        "top_category": "int64", "next_category": "int64", "distinct_items": "int64", "price_low": "float64",
        "price_high": "float64", "affinity_new": "float32", "affinity_sale": "float32", "affinity_brand": "float32",
        "favourite": "string", "is_explorer": "bool",
    },
}
TEXTS = {"last_event": EVENTS, "segment": SEGMENTS, "country": COUNTRIES, "favourite": ["shoes", "books", "toys", "garden"]}


def bench_value(name, kind, entity, place):
    bits = number(entity, place)
    match kind:
        case "int64":
            return bits % 1_000_000 if bits & 1 << 40 else bits % 50
        case "float64":
            return (bits % 10_000_000) / 100.0
        case "float32":
            return float32((bits >> 20) % 1_000_003 / 1_000_003)
        case "string":
            return TEXTS[name][bits % len(TEXTS[name])]
        case "bool":
            return bool(bits & 1)
    raise ValueError(kind)


def event_of(entity, view_place):
    """Quarters of a second, so that every way of carrying it is exact."""
    return FIRST_EVENT + datetime.timedelta(milliseconds=250 * (number(entity, view_place, 7) % 345_600))


def bench_views(entities):
    """Three views of ten features for the users 1...entities."""
    views = []
    for view_place, (name, features) in enumerate(BENCH.items()):
        view = View(name, "user", {"user_id": "int64"}, features)
        for user in range(1, entities + 1):
            row = {"user_id": user, "event": event_of(user, view_place)}
            for place, (feature, kind) in enumerate(features.items()):
                row[feature] = bench_value(feature, kind, user, view_place * 100 + place)
            view.rows.append(row)
        views.append(view)
    return views


TYPES = {
    "f_bool": "bool", "f_int32": "int32", "f_int64": "int64", "f_float32": "float32", "f_float64": "float64",
    "f_string": "string", "f_bytes": "bytes", "f_timestamp": "timestamp", "l_bool": "[bool]", "l_int32": "[int32]",
    "l_int64": "[int64]", "l_float32": "[float32]", "l_float64": "[float64]", "l_string": "[string]", "l_bytes": "[bytes]",
    "l_timestamp": "[timestamp]", "v_3": "vector(3)",
}


def second(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def type_rows():
    event = FIRST_EVENT
    plain = {
        "f_bool": True, "f_int32": 7, "f_int64": 5, "f_float32": float32(0.85), "f_float64": 0.1, "f_string": "ab",
        "f_bytes": b"\x00\x01", "f_timestamp": second("2024-05-01T12:00:00"), "l_bool": [True, False], "l_int32": [1, -2],
        "l_int64": [1, 2, 300], "l_float32": [0.5, 1.0], "l_float64": [0.5, 1.0, 2.5], "l_string": ["a", "b"],
        "l_bytes": [b"\x00\x01", b"xyz"], "l_timestamp": [second("2024-05-01T12:00:00"), second("1999-12-31T23:59:59")],
        "v_3": [1.0, 2.0, 0.25],
    }
    large = {
        "f_bool": False, "f_int32": 2**31 - 1, "f_int64": 9007199254740993, "f_float32": float32(3.4028234663852886e38),
        "f_float64": 1.7976931348623157e308, "f_string": "Zoë 🦉 \"quoted\" \\ / \u2028 \n\t\u0001", "f_bytes": bytes(range(256)),
        "f_timestamp": second("2099-12-31T23:59:59"), "l_bool": [True], "l_int32": [2**31 - 1], "l_int64": [2**63 - 1, 0],
        "l_float32": [float32(0.1), float32(1e10)], "l_float64": [1e300, 1.0], "l_string": ["", "ü\"\\", "日本"], "l_bytes": [b""],
        "l_timestamp": [second("2024-02-29T00:00:00")], "v_3": [float32(0.1), -1.5, float32(3e20)],
    }
    small = {
        "f_bool": False, "f_int32": -(2**31), "f_int64": -(2**63) + 1, "f_float32": 1.0, "f_float64": 1e-07, "f_string": "",
        "f_bytes": b"", "f_timestamp": second("1970-01-01T00:00:00"), "l_bool": [False], "l_int32": [0], "l_int64": [-1],
        "l_float32": [float32(-1e-10)], "l_float64": [-0.5], "l_string": ["x"], "l_bytes": [b"\xff"],
        "l_timestamp": [second("1970-01-01T00:00:00")], "v_3": [0.0, 0.0, 0.0],
    }
    whole = {
        **plain, "f_float32": 2.0, "f_float64": 123456789.0, "f_int64": 0, "f_int32": 0, "f_float64": 1e16,
        "l_float64": [1.0, 2.0], "l_float32": [3.0],
    }
    nothing = {name: None for name in TYPES}
    rows = [plain, large, small, whole, nothing]
    return [{"sample_id": place + 1, "event": event + datetime.timedelta(minutes=place), **row} for place, row in enumerate(rows)]


# Texts that a key must carry exactly.
WORDS = ["plain", "with space", "a,b{c}:*", "100%", "Zoë🦉", "quote\"and\\slash", "%", "0"]


def compat_views():
    """Small views for what the bench's don't have."""
    types = View("type_matrix", "sample", {"sample_id": "int64"}, TYPES, type_rows())
    pairs = View("user_item", "pair", {"user_id": "int64", "item_id": "string"}, {"times": "int64", "score": "float64"})
    for user in range(1, 6):
        for item in ["i1", "i,2", "ï3"]:
            bits = number(user, len(item), 99)
            pairs.rows.append({
                "user_id": user, "item_id": item, "event": event_of(user, 5), "times": bits % 100,
                "score": None if user == 3 else (bits % 1000) / 8.0})
    words = View("word", "word", {"word": "string"}, {"length": "int64", "share": "float32"})
    words.rows = [
        {"word": text, "event": event_of(place, 6), "length": len(text), "share": float32(place / 10)}
        for place, text in enumerate(WORDS)]
    # Younger than its max_age is nobody here: the events are years old.
    # Its label has the name of a feature of `live`.
    aged = View("aged", "sample", {"sample_id": "int64"}, {"aged_value": "int64", "label": "string"})
    aged.rows = [{"sample_id": 1, "event": FIRST_EVENT, "aged_value": 1, "label": "aged"}]
    # Written over the wire by the tests that write; filled with one row that must stay until then.
    live = View("live", "sample", {"sample_id": "int64"}, {"clicks": "int64", "rate": "float64", "label": "string"})
    live.rows = [{"sample_id": 1, "event": FIRST_EVENT, "clicks": 10, "rate": 0.5, "label": "old"}]
    return [types, pairs, words, aged, live]


# Feature services, by reference.
SERVICES = {
    "everything": list(BENCH),
    "ranker": ["user_activity:views_7d", "user_activity:last_event", "user_spend:avg_basket", "user_taste:affinity_new"],
    "pairs": ["user_item"],
}


def all_views(entities):
    return bench_views(entities) + compat_views()


def references(*views):
    """The features of views as `view:feature`."""
    return [f"{view}:{feature}" for view in views for feature in BENCH[view]]


# MARK: as JSON

def stamp(event):
    """RFC 3339 with as many decimals as it needs, of 0, 3, 6, as Feast writes it."""
    text = event.strftime("%Y-%m-%dT%H:%M:%S")
    if event.microsecond:
        text += f".{event.microsecond // 1000:03}" if event.microsecond % 1000 == 0 else f".{event.microsecond:06}"
    return text + "Z"


def wire(value):
    """The value as the Feast route writes it: feast-wire's table, read by a JSON parser."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return int(value.timestamp())
    if isinstance(value, list):
        return [wire(element) for element in value]
    return value


# MARK: as SQLite

def sqlite_type(kind):
    return {"bool": "INTEGER", "int32": "INTEGER", "int64": "INTEGER", "float32": "REAL", "float64": "REAL", "bytes": "BLOB"}.get(kind, "TEXT")


def sqlite_value(value, kind):
    if value is None:
        return None
    if kind == "bool":
        return int(value)
    if kind == "timestamp":
        return stamp(value)
    if kind.startswith(("[", "vector")):
        return json.dumps([stamp(element) if isinstance(element, datetime.datetime) else wire(element) for element in value])
    return value
