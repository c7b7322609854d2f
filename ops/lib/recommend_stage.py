"""A shop with lists, a trained model and a serving daemon that recommends, for the measurements and faults of recommendations."""
import hashlib
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ops" / "feast"))
import stage  # noqa: E402
from stage import Trouble, say  # noqa: E402

USERS, ITEMS, EVENTS = 2_000, 1_000, 50_000
CANDIDATES, K = 100, 20
DEADLINE = 50  # milliseconds
TOKEN = "tmk_" + "5a" * 32
# What the store has of users and items, as the pipelines' service names it, the matrix of the model being made of it.
USER_FEATURES = [
    "user_recent:items", "user_taste:categories", "user_taste:last_category", "user_activity:views_7d", "user_activity:carts_7d",
    "user_activity:orders_7d", "user_activity:last_event"]
ITEM_FEATURES = [
    "item:category", "item:price", "item:available", "item_stats:views_7d", "item_stats:carts_7d", "item_stats:orders_7d",
    "item_stats:ctr_7d"]
COLUMNS = [
    "{recall: similar}", "{recall: popular}", "{recall: trending}", '{match: ["user_taste:categories", "item:category"]}',
    '{match: ["user_taste:last_category", "item:category"]}', *ITEM_FEATURES, "user_taste:last_category", "user_activity:views_7d",
    "user_activity:carts_7d", "user_activity:orders_7d", '{feature: "user_activity:last_event", encoding: category, categories: [view, addtocart, transaction]}']
WEEK = "RANGE BETWEEN 604800000 PRECEDING AND CURRENT ROW"
TRAINING = f"""
      pipeline: home
      from: shop
      query: |
        SELECT visitorid AS user_id, itemid AS item_id, timestamp AS ts,
          CASE event WHEN 'view' THEN 1 WHEN 'addtocart' THEN 2 ELSE 3 END AS grade
        FROM events
      time: {{column: ts, unit: ms}}
      grade: grade
      groups: 1500
      test_groups: 400
      history:
        item:
          query: |
            SELECT itemid AS item_id, timestamp AS ts,
              CASE property WHEN 'categoryid' THEN CAST(value AS INTEGER) END AS category,
              CASE property WHEN '790' THEN CAST(substr(value, 2) AS REAL) END AS price,
              CASE property WHEN 'available' THEN CAST(value AS INTEGER) END AS available
            FROM item_properties WHERE property IN ('categoryid', '790', 'available')
          time: {{column: ts, unit: ms}}
          partial: true
        item_stats:
          query: |
            SELECT item_id, ts, views_7d, carts_7d, orders_7d,
              CASE WHEN views_7d > 0 THEN 1.0 * min(views_7d, carts_7d + orders_7d) / views_7d END AS ctr_7d
            FROM (
              SELECT itemid AS item_id, timestamp AS ts,
                count(*) FILTER (WHERE event = 'view') OVER week AS views_7d,
                count(*) FILTER (WHERE event = 'addtocart') OVER week AS carts_7d,
                count(*) FILTER (WHERE event = 'transaction') OVER week AS orders_7d
              FROM events WINDOW week AS (PARTITION BY itemid ORDER BY timestamp {WEEK})
            )
          time: {{column: ts, unit: ms}}
        user_activity:
          query: |
            SELECT visitorid AS user_id, timestamp AS ts, event AS last_event,
              count(*) FILTER (WHERE event = 'view') OVER week AS views_7d,
              count(*) FILTER (WHERE event = 'addtocart') OVER week AS carts_7d,
              count(*) FILTER (WHERE event = 'transaction') OVER week AS orders_7d
            FROM events WINDOW week AS (PARTITION BY visitorid ORDER BY timestamp {WEEK})
          time: {{column: ts, unit: ms}}
        user_taste:
          query: |
            SELECT e.visitorid AS user_id, e.timestamp AS ts, c.category AS last_category,
              json_group_array(c.category) OVER (PARTITION BY e.visitorid ORDER BY e.timestamp DESC, e.id DESC
                ROWS BETWEEN CURRENT ROW AND 49 FOLLOWING) AS categories
            FROM events AS e JOIN (
              SELECT itemid, CAST(value AS INTEGER) AS category, min(timestamp) FROM item_properties
              WHERE property = 'categoryid' GROUP BY itemid
            ) AS c ON c.itemid = e.itemid
          time: {{column: ts, unit: ms}}"""
LISTS = """
    popular:
      kind: popularity
      from: shop
      query: |
        SELECT itemid AS item_id, timestamp AS ts,
          CASE event WHEN 'view' THEN 1 WHEN 'addtocart' THEN 3 ELSE 5 END AS weight
        FROM events
      item: item
      time: {column: ts, unit: ms}
      weight: weight
      window: 30d
      half_life: 7d
    trending:
      kind: trending
      from: shop
      query: SELECT itemid AS item_id, timestamp AS ts FROM events
      item: item
      time: {column: ts, unit: ms}
    similar:
      kind: co_occurrence
      from: shop
      query: SELECT visitorid AS user_id, itemid AS item_id, timestamp AS ts FROM events
      user: user
      item: item
      time: {column: ts, unit: ms}
      session: 1h
      half_life: 30d"""


def pipeline(model):
    return f"""
    user: user
    item: item
    k: {K}
    timeout: {DEADLINE}ms
    recall:
      similar: {{list: similar, seeds: "user_recent:items", quota: 100}}
      popular: {{list: popular, quota: 100}}
      trending: {{list: trending, quota: 50}}
    candidates: {CANDIDATES}
    filters:
      seen: {{not_in: "user_recent:items"}}
      in_stock: {{feature: "item:available", is: true, policy: true}}
      blocked: {{file: blocked.txt}}
      variety: {{feature: "item:category", at_most: 10}}
    features: candidates
    ranker: {{model: {model}}}
    blend: {{recall: 0.2}}
    fallback: popular"""


class RecommendStage:
    """Redis with the shop's rows, recall lists, and a model that `tidemark train ranker` wrote. `connect` may put something before
    Redis: it gets the port and returns another one."""

    def __init__(self, folder, connect=lambda port: port, all_in_stock=False):
        self.folder, self.servers = folder, []
        self.port, self.admin_port = stage.free_port(), stage.free_port()
        self.url, self.admin_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.admin_port}"
        self.remote_port = None
        self.daemon = None
        try:
            self.fill(connect, all_in_stock)
        except BaseException:
            self.stop()
            raise

    def fill(self, connect, all_in_stock):
        self.servers.append(redis := stage.Redis(self.folder))
        self.redis, self.store_port = redis, redis.port
        shop = self.folder / "shop.db"
        self.run("seed", "--out", shop, "--users", USERS, "--items", ITEMS, "--events", EVENTS, config=False)
        if all_in_stock:
            self.sql("UPDATE items SET available = 1, is_deleted = 0")
        shutil.copytree(ROOT / "schemas" / "shop", self.folder / "schemas")
        features = ", ".join(f'"{name}"' for name in [*USER_FEATURES[1:], *ITEM_FEATURES])
        (self.folder / "schemas" / "candidates.yaml").write_text(f"services:\n  candidates: [{features}]\n")
        # Some that are bought most, so that a filter that is skipped shows.
        self.blocked = [] if all_in_stock else [
            row[0] for row in self.rows("SELECT itemid FROM events GROUP BY itemid ORDER BY count(*) DESC, itemid LIMIT 40")][::4]
        (self.folder / "blocked.txt").write_text("".join(f"{item}\n" for item in self.blocked))
        self.write_config()
        self.run("apply")
        # The shop has rows that break their contract, so a pass ends with 3; what is missing would show in the answers.
        self.run("sync", "--once", codes=(0, 3))
        self.run("recall", "build")
        self.run("train", "ranker")
        self.store_port = connect(redis.port)
        self.write_config()

    def forbidden(self):
        """Items that no answer may have, by a file for lookup-load: blocked, sold out, gone."""
        gone = [row[0] for row in self.rows("SELECT itemid FROM items WHERE available = 0 OR is_deleted = 1")]
        items = sorted({*gone, *self.blocked})
        (self.folder / "forbidden.txt").write_text("".join(f"{item}\n" for item in items))
        return self.folder / "forbidden.txt", items

    def users(self):
        return [row[0] for row in self.rows("SELECT DISTINCT visitorid FROM events ORDER BY visitorid")]

    # MARK: the shop

    def rows(self, query):
        with sqlite3.connect(self.folder / "shop.db") as database:
            return database.execute(query).fetchall()

    def sql(self, statement):
        with sqlite3.connect(self.folder / "shop.db") as database:
            database.execute(statement)

    # MARK: tidemark

    def run(self, *words, config=True, codes=(0,)):
        options = ["--config", self.folder / "tidemark.yaml"] if config else []
        command = [str(word) for word in [stage.tidemark_program(), *options, *words]]
        result = subprocess.run(command, capture_output=True, timeout=600, cwd=self.folder)
        if result.returncode not in codes:
            raise Trouble(f"tidemark {words[0]} ended with {result.returncode}\n{(result.stderr + result.stdout).decode()[-4000:]}")

    def write_config(self):
        columns = "".join(f"\n      - {column}" for column in COLUMNS)
        text = f"""project: shop
schemas: "{self.folder}/schemas"
online_store: {{url: "redis://127.0.0.1:{self.store_port}/0"}}
sources: {{shop: {{url: "sqlite:{self.folder}/shop.db"}}}}
sync: {{metrics: "off"}}
serve: {{http: "127.0.0.1:{self.port}"}}
admin:
  http: "127.0.0.1:{self.admin_port}"
  tokens: [{{name: faults, sha256: {hashlib.sha256(TOKEN.encode()).hexdigest()}, scopes: [operate]}}]
  rate: {{reads: 100000, changes: 100000}}
recall:
  refresh: 50ms
  lists:{LISTS}
pipelines:
  home:{pipeline("ranker")}
"""
        if self.remote_port:
            text += f"  far:{pipeline('far')}\n"
        text += f"models:\n  ranker:\n    path: models/ranker\n    columns:{columns}\n    training:{TRAINING}\n"
        if self.remote_port:
            text += f'  far:\n    remote: {{url: "http://127.0.0.1:{self.remote_port}", model: ranker}}\n    columns:{columns}\n'
        (self.folder / "tidemark.yaml").write_text(text)

    def start_daemon(self):
        self.daemon = stage.Server(
            "tidemark serve", [stage.tidemark_program(), "--config", self.folder / "tidemark.yaml", "serve"],
            self.folder / "serve.log", folder=self.folder)
        self.servers.append(self.daemon)
        self.daemon.wait_until(lambda: stage.answers(self.url + "/readyz"), 30)
        self.wait_until_whole()
        return self.daemon

    def start_beside(self, name, section):
        """Another daemon with one more section in its config. Where it listens."""
        port = stage.free_port()
        text = (self.folder / "tidemark.yaml").read_text()
        for old, new in ((self.port, port), (self.admin_port, stage.free_port())):
            text = text.replace(f'"127.0.0.1:{old}"', f'"127.0.0.1:{new}"')
        (self.folder / f"{name}.yaml").write_text(text + section)
        server = stage.Server(
            f"tidemark serve, {name}", [stage.tidemark_program(), "--config", self.folder / f"{name}.yaml", "serve"],
            self.folder / f"{name}.log", folder=self.folder)
        self.servers.append(server)
        server.wait_until(lambda: stage.answers(f"http://127.0.0.1:{port}/readyz"), 30)
        return port

    def stop_daemon(self):
        self.servers.remove(self.daemon)
        return self.daemon.stop()

    def stop(self):
        for server in reversed(self.servers):
            server.stop()

    # MARK: asking

    def post(self, path, body):
        """The status and the answer."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return read(request)

    def recommend(self, user, pipeline="home", **fields):
        status, answer = self.post("/v1/recommend", {"pipeline": pipeline, "entity": {"user_id": user}, **fields})
        if status != 200:
            raise Trouble(f"/v1/recommend answered {status}: {answer}")
        return answer

    def admin(self, method, path, body=None):
        """The status and the answer of the admin listener."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        if method != "GET":
            headers["Idempotency-Key"] = f"faults-{time.monotonic_ns():020}"
        data = None if method == "GET" else json.dumps(body or {}).encode()
        return read(urllib.request.Request(self.admin_url + path, data, headers, method=method))

    def breaker(self, name):
        """What a breaker says of itself: closed, open or half_open."""
        status, answer = self.admin("GET", "/admin/v1/breakers")
        if status != 200:
            raise Trouble(f"/admin/v1/breakers answered {status}: {answer}")
        return next(breaker["state"] for breaker in answer["breakers"] if breaker["name"] == name)

    def pipelines(self):
        return ["home", "far"] if self.remote_port else ["home"]

    def wait_until_whole(self, seconds=30):
        """How long it took until every pipeline ranked and left nothing out, in milliseconds."""
        began = time.monotonic()
        while not all(self.is_whole(pipeline) for pipeline in self.pipelines()):
            if time.monotonic() - began > seconds:
                raise Trouble(f"not ranked after {seconds} s: {self.recommend(1, self.pipelines()[-1])}\n{self.daemon.tail()}")
            time.sleep(0.02)
        return (time.monotonic() - began) * 1_000

    def is_whole(self, pipeline):
        answer = self.recommend(self.first_user(), pipeline)
        return answer["rung"] == "ranking" and "degraded" not in answer

    def first_user(self):
        if not hasattr(self, "known_user"):
            self.known_user = self.users()[0]
        return self.known_user

    def metric(self, name, port=None):
        """The sum of a metric's samples; `name` may end in labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        pattern = re.escape(name) + (r"(?:\{[^}]*\})?" if "{" not in name else "")
        return sum(float(value) for value in re.findall(rf"(?m)^{pattern} (\S+)", page))


def read(request):
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            return error.code, json.loads(text)
        except ValueError:
            return error.code, {"detail": text[:300].decode(errors="replace")}


def write_requests(path, exchanges):
    """A file for lookup-load ask --requests: (tag, [(path, body)]) each."""
    with open(path, "w", encoding="utf-8") as out:
        for tag, steps in exchanges:
            out.write(json.dumps({"tag": tag, "steps": [{"path": where, "body": json.dumps(body)} for where, body in steps]}) + "\n")
    return path


def ask(user, pipeline="home", **fields):
    return pipeline, [("/v1/recommend", {"pipeline": pipeline, "entity": {"user_id": user}, **fields})]


__all__ = [
    "CANDIDATES", "COLUMNS", "DEADLINE", "ITEM_FEATURES", "K", "RecommendStage", "Trouble", "USER_FEATURES", "ask", "say",
    "write_requests"]
