"""Lookups as many users ask for them: locust -f ops/load/locustfile.py --headless -u 50 -r 50 -t 30s --host http://127.0.0.1:6566

One, ten and a hundred entities over both routes, in the proportion 6 : 3 : 1. `.build/feast/bin/locust` is there after
ops/lib/feast-env. The settings are those of ops/load/wrk/common.lua: TIDEMARK_LOAD_FEATURES, _KEY, _FIRST, _LAST; and
TIDEMARK_LOAD_ROUTES (feast,lookup), since Feast's own server has only the first. An answer other than 200, or one that has
not as many rows as were asked for, counts as failed."""
import os
import random

from locust import FastHttpUser, constant, task


def setting(name, default):
    return os.environ.get(f"TIDEMARK_LOAD_{name}") or default


DEFAULTS = "user_week:events,user_week:views,user_week:orders,user_activity:last_event,user_activity:last_item"
FEATURES = setting("FEATURES", DEFAULTS).split(",")
KEY = setting("KEY", "user_id")
FIRST, LAST = int(setting("FIRST", "1")), int(setting("LAST", "2000"))
ROUTES = setting("ROUTES", "feast,lookup").split(",")


class Reader(FastHttpUser):
    wait_time = constant(0)

    def ask(self, count):
        route = random.choice(ROUTES)
        ids = [random.randint(FIRST, LAST) for _ in range(count)]
        if route == "feast":
            path, body = "/get-online-features", {"features": FEATURES, "entities": {KEY: ids}}
        else:
            path, body = "/v1/lookup", {"features": FEATURES, "entities": [{KEY: number} for number in ids]}
        with self.client.post(path, json=body, name=f"{path}, {count} entities", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text[:200] if answer.text else ''}")
                return
            found = answer.json()
            rows = len(found["results"][0]["values"]) if route == "feast" else len(found["rows"])
            if rows != count:
                answer.failure(f"{rows} rows instead of {count}")

    @task(6)
    def one(self):
        self.ask(1)

    @task(3)
    def ten(self):
        self.ask(10)

    @task(1)
    def hundred(self):
        self.ask(100)
