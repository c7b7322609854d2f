#!/usr/bin/env python3
"""make-rows --out FOLDER --redis PORT [--entities N] [--feast] [--tidemark]: the same rows into Feast's Redis and Tidemark's.

Makes in FOLDER, for the Redis that listens on PORT of this machine:
  source.db, tidemark.yaml   the rows as a source of Tidemark, applied and synced into database 0 (--tidemark)
  feast/                     a Feast repository whose online store is database 1, applied and written (--feast)
  remote/                    the same repository with `online_store: {type: remote}` that asks Tidemark's port
Without --feast and --tidemark it does both. Run it with the Python of ops/lib/feast-env."""
import argparse
import json
import os
import pathlib
import shutil
import sqlite3
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import shop  # noqa: E402
import stage  # noqa: E402


def feature_store(project, registry, online):
    return f"""# Made by ops/feast/make-rows.
project: {project}
provider: local
registry: {{path: "{registry}", cache_ttl_seconds: 3600}}
online_store: {online}
offline_store: {{type: dask}}
entity_key_serialization_version: 3
auth: {{type: no_auth}}
"""


def make_repositories(out, redis_port, http_port):
    """Two repositories that share a registry: one for the server on Redis, one for a client of another server."""
    registry = out / "feast" / "registry.db"
    stores = {
        "feast": f'{{type: redis, connection_string: "127.0.0.1:{redis_port},db=1"}}',
        "remote": f'{{type: remote, path: "http://127.0.0.1:{http_port}", connection_retries: 1}}',
    }
    for name, online in stores.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(stage.HERE / "repo" / "features.py", folder / "features.py")
        (folder / "feature_store.yaml").write_text(feature_store(shop.PROJECT, registry, online))


def make_registry(out, views):
    """Writes the sources as Parquet, and applies the definitions."""
    import pyarrow
    import pyarrow.parquet

    repo = out / "feast"
    (repo / "data").mkdir(exist_ok=True)
    for view in views:
        pyarrow.parquet.write_table(pyarrow.table(arrow_columns(view)), repo / "data" / f"{view.name}.parquet")
    stage.run([pathlib.Path(sys.executable).parent / "feast", "--chdir", repo, "apply"], environment=stage.feast_environment())
    return sum(len(view.rows) for view in views)


def write_feast(out, views):
    """The rows into Feast's online store."""
    import pandas

    os.environ.update(stage.feast_environment())
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(out / "feast"))
    written = 0
    for view in views:
        # Feast reads a column of integers with a null among them as floats, which loses digits, and skips rows of nothing but
        # nulls: those with nulls are written apart, beside a row of small numbers that is there already.
        whole = [row for row in view.rows if None not in row.values()]
        broken = [row for row in view.rows if None in row.values()]
        for rows in [whole[start:start + 5_000] for start in range(0, len(whole), 5_000)] + [whole[:1] + broken] * bool(broken):
            frame = {name: pandas.Series([row[name] for row in rows], dtype=object) for name in view.columns}
            frame["event_timestamp"] = pandas.Series([row["event"] for row in rows])
            store.write_to_online_store(view.name, df=pandas.DataFrame(frame))
            written += len(rows)
    return written


def arrow_columns(view):
    import pyarrow

    scalars = {
        "bool": pyarrow.bool_(), "int32": pyarrow.int32(), "int64": pyarrow.int64(), "float32": pyarrow.float32(),
        "float64": pyarrow.float64(), "string": pyarrow.string(), "bytes": pyarrow.binary(),
        "timestamp": pyarrow.timestamp("us", tz="UTC"),
    }

    def arrow(kind):
        if kind.startswith("["):
            return pyarrow.list_(scalars[kind[1:-1]])
        return pyarrow.list_(pyarrow.float32()) if kind.startswith("vector") else scalars[kind]

    columns = {name: pyarrow.array([row[name] for row in view.rows], arrow(kind)) for name, kind in view.columns.items()}
    columns["event_timestamp"] = pyarrow.array([row["event"] for row in view.rows], pyarrow.timestamp("us", tz="UTC"))
    return columns


def write_source(path, views):
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    for view in views:
        columns = ", ".join(f'"{name}" {shop.sqlite_type(kind)}' for name, kind in view.columns.items())
        keys = ", ".join(view.keys)
        database.execute(f"CREATE TABLE {view.name} ({columns}, event INTEGER NOT NULL, PRIMARY KEY ({keys}))")
        marks = ", ".join("?" * (len(view.columns) + 1))
        database.executemany(f"INSERT INTO {view.name} VALUES ({marks})", (
            [shop.sqlite_value(row[name], kind) for name, kind in view.columns.items()] + [round(row["event"].timestamp() * 1000)]
            for row in view.rows))
    database.commit()
    database.close()


def write_tidemark(out, redis_port, http_port, views, serve=""):
    """The rows through a source and a sync. `serve` are more settings of the daemon, such as ", timeout: 1s"."""
    write_source(out / "source.db", views)
    (out / "http-port").write_text(str(http_port))
    (out / "tidemark.yaml").write_text(f"""# Made by ops/feast/make-rows.
project: {shop.PROJECT}
schemas: "{shop.DEFINITIONS}"
online_store: {{url: "redis://127.0.0.1:{redis_port}/0"}}
sources:
  shop: {{url: "sqlite:{out}/source.db"}}
sync: {{metrics: "off"}}
""")
    program = stage.tidemark_program()
    if stage.has_serve(program):
        with open(out / "tidemark.yaml", "a") as file:
            file.write(f'serve: {{http: "127.0.0.1:{http_port}"{serve}}}\n')
    stage.run([program, "--config", out / "tidemark.yaml", "apply"])
    result = json.loads(stage.run([program, "--config", out / "tidemark.yaml", "sync", "--once", "--json"]))
    quarantined = sum(entry.get("quarantined", 0) for entry in result)
    written = sum(entry["created"] + entry["replaced"] for entry in result)
    expected = sum(len(view.rows) for view in views)
    if written != expected or quarantined:
        raise stage.Trouble(f"tidemark wrote {written} of {expected} rows, {quarantined} are in quarantine: {result}")
    return written


def make(out, redis_port, entities, feast=True, tidemark=True, http_port=None, registry=None, serve=""):
    """Everything of the above; says how long each took."""
    out = pathlib.Path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    http_port = http_port or stage.free_port()
    views = shop.all_views(entities)
    make_repositories(out, redis_port, http_port)
    for name, wanted, work in (
        ("Feast's registry", feast if registry is None else registry, lambda: make_registry(out, views)),
        ("Feast", feast, lambda: write_feast(out, views)),
        ("Tidemark", tidemark, lambda: write_tidemark(out, redis_port, http_port, views, serve)),
    ):
        if wanted:
            start = time.monotonic()
            written = work()
            stage.say(f"{name}: {written:,} rows in {time.monotonic() - start:.1f} s")
    return out


def main():
    parser = argparse.ArgumentParser(prog="ops/feast/make-rows", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--redis", type=int, required=True)
    parser.add_argument("--entities", type=int, default=1_000)
    parser.add_argument("--http", type=int, help="port of tidemark serve; a free one otherwise")
    parser.add_argument("--feast", action="store_true")
    parser.add_argument("--tidemark", action="store_true")
    options = parser.parse_args()
    if not 1 <= options.entities <= 1_000_000:
        parser.error("--entities must be 1...1000000")
    both = not options.feast and not options.tidemark
    make(options.out, options.redis, options.entities, options.feast or both, options.tidemark or both, options.http)


if __name__ == "__main__":
    try:
        main()
    except stage.Trouble as trouble:
        sys.exit(f"make-rows: {trouble}")
