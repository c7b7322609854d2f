"""Recommendations as many users ask for them: locust -f ops/load/recommendfile.py --headless -u 20 -r 20 -t 30s --host http://127.0.0.1:6566

Recalled, of the caller's own fifty candidates, and with an exclude list, in the proportion 8 : 1 : 1; answers are named by their rung,
so that the table shows how many came down the ladder. TIDEMARK_LOAD_PIPELINE (home), TIDEMARK_LOAD_K (20), and of
ops/load/wrk/common.lua TIDEMARK_LOAD_KEY, _FIRST and _LAST; TIDEMARK_LOAD_ITEMS (1...500) are the items that callers name. An answer
other than 200, with too many items, one twice, or one that was excluded counts as failed."""
import os
import random

from locust import FastHttpUser, constant, task


def setting(name, default):
    return os.environ.get(f"TIDEMARK_LOAD_{name}") or default


PIPELINE, K = setting("PIPELINE", "home"), int(setting("K", "20"))
KEY = setting("KEY", "user_id")
FIRST, LAST = int(setting("FIRST", "1")), int(setting("LAST", "2000"))
ITEMS = range(1, int(setting("ITEMS", "500")) + 1)


class Visitor(FastHttpUser):
    wait_time = constant(0)

    def ask(self, name, candidates=None, exclude=()):
        body = {"pipeline": PIPELINE, "entity": {KEY: random.randint(FIRST, LAST)}, "k": K, "exclude": list(exclude)}
        if candidates:
            body["candidates"] = candidates
        with self.client.post("/v1/recommend", json=body, name=name, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text[:200] if answer.text else ''}")
                return
            found = answer.json()
            answer.request_meta["name"] = f"{name}: {found['rung']}{' degraded' if 'degraded' in found else ''}"
            ids = [item["id"] for item in found["items"]]
            if len(ids) > K or len(set(ids)) < len(ids) or set(ids) & set(exclude) or candidates and set(ids) - set(candidates):
                answer.failure(f"items that must not come: {ids}")

    @task(8)
    def recalled(self):
        self.ask("recalled")

    @task(1)
    def own(self):
        self.ask("own candidates", candidates=random.sample(ITEMS, 50))

    @task(1)
    def excluding(self):
        self.ask("with an exclude list", exclude=random.sample(ITEMS, 20))
