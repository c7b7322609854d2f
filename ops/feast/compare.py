#!/usr/bin/env python3
"""compare-feast --registry FILE --redis URL [options]: asks Feast and Tidemark for the same features, and prints every difference.

Both read the rows that Feast materialized: Feast through its Python SDK, or a server of it that runs (--feast URL); Tidemark
through `tidemark serve` with `serve.feast`, started for the run (TIDEMARK_BIN, or the newest build), or one that runs (--tidemark
URL). Asked for are all features of every feature view, and every feature service, of N entities for each set of join keys,
taken out of Redis by chance, and of some that are not there. Compared are names, values with their types, statuses and event
times (to the microsecond, which Feast's own floats can miss by one). Nothing is written anywhere.

The `tidemark serve` of the run words statuses as Feast does. One that runs may word them honestly: a missing entity, a null and a
row that is too old, which Feast calls PRESENT; such pairs are counted and no difference.

Ends with 0 where nothing differs, 3 where something does, 1 where the comparison can't be made."""
import argparse
import datetime
import json
import pathlib
import random
import shutil
import struct
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
warnings.simplefilter("ignore")
import os  # noqa: E402

import stage  # noqa: E402

ROWS_PER_REQUEST = 50
HONEST = {"NOT_FOUND", "NULL_VALUE", "OUTSIDE_MAX_AGE"}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
DUMMY = "__dummy_id"


class Refused(Exception):
    """A server says that it doesn't answer this."""


# MARK: What there is to ask

class Registry:
    """The registry as Feast's own SDK reads it."""

    def __init__(self, options, folder):
        os.environ.update(stage.feast_environment())
        import logging

        logging.disable(logging.WARNING)
        from feast import FeatureStore

        self.project = options.project or only_project(options.registry)
        url = urllib.parse.urlparse(options.redis)
        if url.scheme not in ("redis", "rediss") or not url.hostname:
            raise stage.Trouble(f"--redis {options.redis}: write redis://HOST:PORT/DB")
        self.redis_url = url
        parts = [f"{url.hostname}:{url.port or 6379}", f"db={url.path.strip('/') or 0}"]
        if password := options.redis_password:
            parts.append(f"password={password}")
        if url.scheme == "rediss":
            parts.append("ssl=true")
        (folder / "feature_store.yaml").write_text(f"""project: {self.project}
provider: local
registry:
  path: {json.dumps(str(pathlib.Path(options.registry).resolve()))}
  cache_ttl_seconds: 0
  enable_online_feature_view_versioning: {json.dumps(options.versioned_names)}
online_store: {{type: redis, connection_string: {json.dumps(",".join(parts))}}}
offline_store: {{type: dask}}
entity_key_serialization_version: {options.key_version}
auth: {{type: no_auth}}
""")
        self.store = FeatureStore(repo_path=str(folder))
        self.key_version = options.key_version
        entities = {entity.name: entity for entity in self.store.list_entities()}
        # In the order of their names, so that a seed means the same sample.
        views = self.store.list_feature_views() + self.store.list_stream_feature_views()
        self.views = {view.name: view for view in sorted(views, key=lambda view: view.name)}
        self.services = {service.name: service for service in sorted(self.store.list_feature_services(), key=lambda it: it.name)}
        self.types = {}
        self.join_keys = {}
        for name, view in self.views.items():
            keys = [entities[entity].join_key for entity in view.entities if entity in entities]
            self.join_keys[name] = tuple(keys) or (DUMMY,)
            declared = {column.name: column.dtype.to_value_type() for column in view.entity_columns}
            for entity in view.entities:
                if entity in entities:
                    key = entities[entity].join_key
                    self.types[key] = declared.get(key, entities[entity].value_type)

    def features(self, view):
        return [field.name for field in self.views[view].features]

    def keys_of_service(self, name):
        """The join keys of all views of a service; None where one of them is no view with rows."""
        keys = []
        for projection in self.services[name].feature_view_projections:
            if projection.name not in self.join_keys:
                return None
            keys += [key for key in self.join_keys[projection.name] if key not in keys]
        return tuple(keys)


def only_project(path):
    from feast.protos.feast.core.Registry_pb2 import Registry as Message

    message = Message()
    try:
        message.ParseFromString(pathlib.Path(path).read_bytes())
    except OSError as error:
        raise stage.Trouble(f"--registry {path}: {error.strerror}") from error
    except Exception as error:
        raise stage.Trouble(f"--registry {path}: no registry of Feast ({error})") from error
    names = sorted({view.spec.project for view in [*message.feature_views, *message.stream_feature_views]})
    if len(names) != 1:
        raise stage.Trouble(f"the registry has {len(names)} projects with views: {', '.join(names)}; choose one with --project")
    return names[0]


# MARK: Entities

def sample(registry, options):
    """{join keys: [entity]} out of Redis, by chance, with some behind them that are not there."""
    import redis
    from feast.infra.key_encoding_utils import serialize_entity_key_prefix
    from feast.value_type import ValueType

    url = registry.redis_url
    client = redis.Redis(
        host=url.hostname, port=url.port or 6379, db=int(url.path.strip("/") or 0), password=options.redis_password,
        ssl=url.scheme == "rediss", socket_timeout=30)
    sets = {keys: tuple(sorted(keys)) for keys in set(registry.join_keys.values())}
    prefixes = {keys: serialize_entity_key_prefix(list(names), registry.key_version) for keys, names in sets.items()}
    found = {keys: [] for keys in sets}
    seen = {keys: 0 for keys in sets}
    generator = random.Random(options.seed)
    suffix = registry.project.encode()
    try:
        for place, key in enumerate(client.scan_iter(count=1_000)):
            if place >= options.scan:
                stage.say(f"only the first {options.scan:,} keys of Redis were looked at (--scan)")
                break
            for keys, prefix in prefixes.items():
                values = key.startswith(prefix) and key.endswith(suffix) and parse(key[len(prefix):len(key) - len(suffix)], len(keys))
                if not values:
                    continue
                # Each of those seen has the same chance to stay.
                seen[keys] += 1
                entity = dict(zip(sets[keys], values))
                if len(found[keys]) < options.entities:
                    found[keys].append(entity)
                elif (other := generator.randrange(seen[keys])) < options.entities:
                    found[keys][other] = entity
    except redis.RedisError as error:
        raise stage.Trouble(f"Redis at {url.hostname}:{url.port or 6379}: {error}") from error
    strange = {
        ValueType.INT64: lambda place: (1 << 62) + place, ValueType.INT32: lambda place: (1 << 31) - 1 - place,
        ValueType.UNIX_TIMESTAMP: lambda place: 4_000_000_000 + place, ValueType.BYTES: lambda place: b"\xff\xfe" + bytes([place])}
    for keys, entities in found.items():
        if keys != (DUMMY,):
            for place in range(3):
                entities.append({key: strange.get(registry.types[key], "no such entity {}".format)(place) for key in keys})
        elif not entities:
            entities.append({DUMMY: ""})
    return found, {keys: seen[keys] for keys in sets}


def parse(data, count):
    """The values behind the names of an entity key; None for another key."""
    values = []
    for _ in range(count):
        if len(data) < 8:
            return None
        kind, length = struct.unpack_from("<II", data)
        raw, data = data[8:8 + length], data[8 + length:]
        if len(raw) != length:
            return None
        try:
            match kind:
                case 1: values.append(raw)
                case 2: values.append(raw.decode())
                case 3: values.append(struct.unpack("<i", raw)[0])
                case 4 | 8: values.append(struct.unpack("<q", raw)[0])
                case _: return None
        except (struct.error, UnicodeDecodeError):
            return None
    return None if data else values


# MARK: The two sides

class SDK:
    """Feast in this process."""

    name = "Feast's SDK"

    def __init__(self, registry):
        self.store = registry.store

    def ask(self, entities, features=None, service=None):
        from feast.feature_server_utils import convert_response_to_dict

        try:
            answer = self.store.get_online_features(
                features=self.store.get_feature_service(service) if service else features, entity_rows=entities,
                full_feature_names=True)
        except Exception as error:
            raise Refused(f"{type(error).__name__}: {str(error)[:300]}") from error
        return json.loads(json.dumps(convert_response_to_dict(answer.proto)))


class Server:
    """Anything that speaks Feast's wire."""

    def __init__(self, name, url):
        self.name, self.url = name, url.rstrip("/")

    def ask(self, entities, features=None, service=None):
        import base64

        columns = {key: [entity[key] for entity in entities] for key in entities[0]}
        for key, values in columns.items():
            columns[key] = [base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in values]
        body = {"entities": columns, "full_feature_names": True}
        body.update({"feature_service": service} if service else {"features": features})
        request = urllib.request.Request(
            self.url + "/get-online-features", json.dumps(body).encode(),
            {"content-type": "application/json", "X-Request-Timeout-Ms": "30000"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(f"{error.code} {message(error.read())[:300]}") from error
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise stage.Trouble(f"{self.name} at {self.url}: {error}") from error


def message(body):
    """The words in an error of Feast's wire, which is JSON in JSON."""
    try:
        value = json.loads(body)
        value = json.loads(value) if isinstance(value, str) and value.startswith("{") else value
        return str(value.get("message") or value) if isinstance(value, dict) else str(value)
    except ValueError:
        return body.decode(errors="replace")


def start_tidemark(registry, options, folder):
    """`tidemark serve` on Feast's rows, with Feast's words for statuses."""
    port = stage.free_port()
    (folder / "http-port").write_text(str(port))
    url = registry.redis_url
    password = ', password: "env:TIDEMARK_COMPARE_REDIS_PASSWORD"' if options.redis_password else ""
    if options.redis_password:
        os.environ["TIDEMARK_COMPARE_REDIS_PASSWORD"] = options.redis_password
    redis_url = f"{url.scheme}://{url.hostname}:{url.port or 6379}/{url.path.strip('/') or 0}"
    (folder / "tidemark.yaml").write_text(f"""project: compare
serve:
  http: "127.0.0.1:{port}"
  timeout: 10s
  feast_statuses: feast
  feast: {{registry: {json.dumps(str(pathlib.Path(options.registry).resolve()))}, redis: "{redis_url}", project: {json.dumps(registry.project)},
    command_timeout: 10s, key_version: {options.key_version}, versioned_names: {json.dumps(options.versioned_names)}{password}}}
""")
    return stage.TidemarkServer(folder)


# MARK: Comparing

class Comparison:
    def __init__(self, feast, tidemark, show):
        self.feast, self.tidemark, self.show = feast, tidemark, show
        self.values = self.honest = self.differences = self.requests = 0

    def differs(self, words):
        self.differences += 1
        if self.differences <= self.show:
            print(f"differs  {words}", flush=True)
        elif self.differences == self.show + 1:
            print(f"         further differences are counted only (--show {self.show})", flush=True)

    def compare(self, what, entities, features=None, service=None):
        """All of `entities`; features that only one side has are differences of their own."""
        for start in range(0, len(entities), ROWS_PER_REQUEST):
            rows = entities[start:start + ROWS_PER_REQUEST]
            answers = {}
            for side in (self.feast, self.tidemark):
                try:
                    answers[side] = columns(side.ask(rows, features, service))
                except Refused as refusal:
                    answers[side] = refusal
            self.requests += 1
            feast, tidemark = answers[self.feast], answers[self.tidemark]
            if isinstance(feast, Refused) and isinstance(tidemark, Refused):
                stage.say(f"{what}: neither answers; Feast: {feast}; Tidemark: {tidemark}")
                return
            if isinstance(feast, Refused) or isinstance(tidemark, Refused):
                if features and len(features) > 1:
                    for feature in features:
                        self.compare(feature, entities, [feature])
                elif isinstance(feast, Refused):
                    self.differs(f"{what}: Feast refuses: {feast}")
                else:
                    self.differs(f"{what}: Tidemark refuses: {tidemark}")
                return
            self.compare_columns(what, rows, feast, tidemark)

    def compare_columns(self, what, rows, feast, tidemark):
        keys = set(rows[0])
        for name in sorted((set(feast) | set(tidemark)) - keys):
            if name not in feast or name not in tidemark:
                self.differs(f"{what}: only {'Feast' if name in feast else 'Tidemark'} has {name}")
                continue
            if len(feast[name]) != len(rows) or len(tidemark[name]) != len(rows):
                self.differs(f"{what}: {name} has {len(feast[name])} values of Feast, {len(tidemark[name])} of Tidemark, for {len(rows)} entities")
                continue
            for entity, theirs, ours in zip(rows, feast[name], tidemark[name]):
                self.compare_value(name, entity, theirs, ours)

    def compare_value(self, name, entity, theirs, ours):
        self.values += 1
        if same(theirs, ours):
            return
        (value, status, _), (our_value, our_status, _) = theirs, ours
        if status == "PRESENT" and our_status in HONEST and our_value is None and (value is None or our_status == "OUTSIDE_MAX_AGE"):
            self.honest += 1
            return
        self.differs(f"{name} {spell(entity)}: Feast {spell(list(theirs))}, Tidemark {spell(list(ours))}")


def spell(value):
    return json.dumps(value, ensure_ascii=False, default=lambda other: other.hex())


def columns(answer):
    return {
        name: list(zip(result["values"], result["statuses"], result["event_timestamps"]))
        for name, result in zip(answer["metadata"]["feature_names"], answer["results"])}


def same(theirs, ours):
    # As JSON: 1 and 1.0 are two things for a client that goes by the type.
    if json.dumps(theirs[0]) != json.dumps(ours[0]) or theirs[1] != ours[1]:
        return False
    return theirs[2] == ours[2] or abs(microseconds(theirs[2]) - microseconds(ours[2])) <= 1


def microseconds(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc) - EPOCH
    return round(seconds.total_seconds()) * 1_000_000 + int((fraction + "000000")[:6])


def run(options, folder):
    start = time.monotonic()
    registry = Registry(options, folder)
    entities, seen = sample(registry, options)
    for keys, found in sorted(entities.items()):
        print(f"sampled  {', '.join(keys)}: {len(found)} of {seen[keys]:,} entities and some that are not there", flush=True)
    servers = []
    try:
        feast = Server("Feast", options.feast) if options.feast else SDK(registry)
        if options.tidemark:
            tidemark = Server("Tidemark", options.tidemark)
        else:
            servers.append(server := start_tidemark(registry, options, folder))
            tidemark = Server("Tidemark", server.url)
        comparison = Comparison(feast, tidemark, options.show)
        for name in registry.views:
            comparison.compare(name, entities[registry.join_keys[name]], [f"{name}:{feature}" for feature in registry.features(name)])
        for name in registry.services:
            keys = registry.keys_of_service(name)
            if keys is None:
                stage.say(f"service {name} has a view without rows in it: left out")
                continue
            comparison.compare(f"service {name}", joined(keys, entities, options.entities), service=name)
        print(
            f"== {len(registry.views)} views, {len(registry.services)} services, {sum(map(len, entities.values()))} entities, "
            f"{comparison.requests} requests, {comparison.values:,} values compared, {comparison.differences} differences, "
            f"{comparison.honest} told apart that Feast calls PRESENT, seed {options.seed}, {time.monotonic() - start:.0f} s",
            flush=True)
        if not comparison.values:
            raise stage.Trouble("nothing was compared")
        return 3 if comparison.differences else 0
    finally:
        for server in servers:
            server.stop()


def joined(keys, entities, count):
    """Entities with all of these keys: values of those with some of them, side by side."""
    parts = [found for names, found in entities.items() if set(names) <= set(keys)]
    length = min(count, max(map(len, parts)))
    return [{key: part[place % len(part)][key] for part in reversed(parts) for key in part[place % len(part)]} for place in range(length)]


def main():
    parser = argparse.ArgumentParser(
        prog="ops/compare-feast", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", required=True, help="Feast's registry file")
    parser.add_argument("--redis", required=True, help="Feast's Redis, redis://HOST:PORT/DB, without a password")
    parser.add_argument("--redis-password-env", metavar="NAME", help="the environment variable with Redis' password")
    parser.add_argument("--project", help="Feast's project; may be left out where the registry has one")
    parser.add_argument("--feast", metavar="URL", help="a server of Feast that runs; its SDK otherwise")
    parser.add_argument("--tidemark", metavar="URL", help="a `tidemark serve` that runs; one is started otherwise")
    parser.add_argument("--entities", type=int, default=100, help="how many for each set of join keys (100)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument("--scan", type=int, default=1_000_000, help="how many keys of Redis are looked at, at most (1000000)")
    parser.add_argument("--show", type=int, default=1_000_000, help="how many differences are printed, at most (1000000)")
    parser.add_argument("--key-version", type=int, choices=[2, 3], default=3, help="entity_key_serialization_version (3)")
    parser.add_argument("--versioned-names", action="store_true", help="registry.enable_online_feature_view_versioning is on")
    options = parser.parse_args()
    if not 1 <= options.entities <= 100_000:
        parser.error("--entities must be 1...100000")
    options.redis_password = None
    if options.redis_password_env:
        options.redis_password = os.environ.get(options.redis_password_env) or parser.error(f"{options.redis_password_env} is not set")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-compare."))
    try:
        return run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    stage.end_on_sigterm()
    try:
        sys.exit(main())
    except stage.Trouble as trouble:
        sys.exit(f"compare-feast: {trouble}")
