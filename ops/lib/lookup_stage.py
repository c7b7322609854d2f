"""Redis with rows that are a function of the id, a daemon over it, and who asks: what the runs of lookups under faults share."""
import json
import os
import pathlib
import re
import sqlite3
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "feast"))
import stage  # noqa: E402
from stage import Trouble  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from loading import Load, Proxy, fates  # noqa: E402

ENTITIES = 20_000
VIEWS, FEATURES = 3, 10
DEADLINE = 50  # milliseconds, as serve.timeout is by default
SLACK = 5
RECOVERY = 2_000


# MARK: the servers

class Redis(stage.Redis):
    """Keeps nothing unless told to, and can be started again on its port."""

    def __init__(self, folder):
        self.folder = folder
        super().__init__(folder)

    def save(self):
        if self.try_call("save") != "OK":
            raise Trouble("redis-server did not save")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def start_again(self, empty):
        if empty:
            (self.folder / "dump.rdb").unlink(missing_ok=True)
        again = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.folder]
        stage.Server.__init__(self, "redis-server", again, self.folder / "redis.log")

    def signal(self, number):
        os.kill(self.pid, number)


class Daemon(stage.Server):
    """`tidemark serve` on the stage's config. `before` are words of a command that starts it."""

    def __init__(self, folder, port, before=(), environment=None):
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        command = [*before, stage.tidemark_program(), "--config", folder / "tidemark.yaml", "serve"]
        super().__init__("tidemark serve", command, folder / "serve.log", environment)
        try:
            self.wait_until(lambda: stage.answers(self.url + "/readyz"), 30)
        except BaseException:
            self.stop()
            raise

    def metric(self, name):
        """The sum of a metric's samples; `name` may end in labels."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as answer:
            page = answer.read().decode()
        pattern = re.escape(name) + (r"(?:\{[^}]*\})?" if "{" not in name else "")
        return sum(float(value) for value in re.findall(rf"(?m)^{pattern} (\S+)", page))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rest(self, descriptors=None):
        """What is left when nobody asks: lookups let in, connections besides the one that asks, descriptors. Waits for it a
        while, and for so many descriptors if told, since a connection that the other side closed is closed here a moment later."""
        deadline = time.monotonic() + 5
        while True:
            left = {
                "lookups": self.metric("tidemark_admission_in_flight"), "connections": self.metric("tidemark_http_connections") - 1,
                "descriptors": self.descriptors()}
            is_over = left["lookups"] == 0 and left["connections"] <= 0 and left["descriptors"] <= (descriptors or 1e9)
            if is_over or time.monotonic() > deadline:
                return left
            time.sleep(0.05)


class Stage:
    """Redis with rows that are a function of the id, the proxy before it, and the config of a daemon behind that."""

    def __init__(self, folder, pinned=False):
        self.folder = folder
        # Whether the daemon has a core for itself, and everything else another.
        self.pinned = pinned
        self.servers = []
        self.daemon = None
        self.direct = True
        self.port = stage.free_port()

    def fill(self):
        self.servers.append(redis := Redis(self.folder))
        self.redis = redis
        self.servers.append(proxy := Proxy(self.folder, redis.port, pinned=self.pinned))
        self.proxy = proxy
        write_source(self.folder / "source.db")
        (self.folder / "schemas").mkdir()
        (self.folder / "schemas" / "load.yaml").write_text(definitions())
        self.replace_config(self.config())
        program = [stage.tidemark_program(), "--config", self.folder / "tidemark.yaml"]
        stage.run([*program, "apply"])
        written = sum(entry["created"] for entry in json.loads(stage.run([*program, "sync", "--once", "--json"])))
        if written != ENTITIES * VIEWS:
            raise Trouble(f"tidemark wrote {written} of {ENTITIES * VIEWS} rows")
        redis.save()

    def config(self, serve=""):
        port = self.redis.port if self.direct else self.proxy.port
        return f"""project: load
schemas: "{self.folder}/schemas"
online_store: {{url: "redis://127.0.0.1:{port}/0", max_connections: 2}}
sources: {{shop: {{url: "sqlite:{self.folder}/source.db"}}}}
sync: {{metrics: "off"}}
serve: {{http: "127.0.0.1:{self.port}"{serve}}}
"""

    def replace_config(self, text):
        fresh = self.folder / "tidemark.yaml.fresh"
        fresh.write_text(text)
        fresh.replace(self.folder / "tidemark.yaml")

    def start_daemon(self, serve="", direct=True, before=(), environment=None, warm=64):
        """A daemon that asks Redis itself, or through the proxy."""
        self.direct = direct
        self.replace_config(self.config(serve))
        os.sched_setaffinity(self.redis.pid, {1} if self.pinned else range(os.cpu_count() or 1))
        self.daemon = Daemon(self.folder, self.port, ["taskset", "-c", "0", *before] if self.pinned else before, environment)
        self.servers.append(self.daemon)
        # Connections, plans and memory are as they will be.
        self.load(connections=warm, seconds=1).end()
        return self.daemon

    def stop_daemon(self):
        self.servers.remove(self.daemon)
        return self.daemon.stop()

    def load(self, **options):
        settings = {
            "port": self.port, "last": ENTITIES, "views": VIEWS, "features": FEATURES, "deadline": DEADLINE,
            "seed": time.monotonic_ns() % 1_000_000, **options}
        return Load(self.folder, pinned=self.pinned, **settings)

    def stop(self):
        for server in reversed(self.servers):
            server.stop()


def write_source(path):
    database = sqlite3.connect(path)
    columns = ", ".join(f"f{place} INTEGER NOT NULL" for place in range(FEATURES))
    marks = ", ".join("?" * (FEATURES + 2))
    for view in range(VIEWS):
        database.execute(f"CREATE TABLE load_{view} (id INTEGER PRIMARY KEY, {columns}, event INTEGER NOT NULL)")
        database.executemany(f"INSERT INTO load_{view} VALUES ({marks})", (
            [row, *(row * 1_000 + view * 100 + place for place in range(FEATURES)), 1_750_000_000_000 + row]
            for row in range(1, ENTITIES + 1)))
    database.commit()
    database.close()


def definitions():
    names = [f"f{place}" for place in range(FEATURES)]
    views = "".join(f"""  load_{view}:
    entity: thing
    source:
      from: shop
      query: SELECT id, {', '.join(names)}, event FROM load_{view}
      watermark: {{column: event, unit: ms, tie_breaker: [id], settle: 0s, lookback: 0s}}
      event_time: {{column: event, unit: ms}}
    every: 30s
    ttl: 30d
    sweep: 7d
    features: {{{', '.join(f'{name}: int64' for name in names)}}}
""" for view in range(VIEWS))
    return f"entities:\n  thing: {{keys: {{id: int64}}}}\nviews:\n{views}"


# MARK: what is judged

def judge_answers(report, name, phases):
    """None lost, none another's, no status but 200 and 503."""
    found = fates(*phases)
    report.bound(f"{name}: answers with another's values or malformed", sum(phase["wrong"] for phase in phases), "=", 0)
    lost = found["broken"] + found["unanswered"] + found["other"]
    report.bound(f"{name}: requests without an answer, or with another status than 200 and 503", lost, "=", 0,
                 ", ".join(f"{fate} {count:,}" for fate, count in found.items() if count))
