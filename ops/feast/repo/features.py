"""The views of schemas/feast-bench as Feast's objects. `feast apply` reads this file."""
import datetime
import os
import pathlib
import sys

sys.path.insert(0, os.environ["TIDEMARK_FEAST_LIBRARY"])
import shop  # noqa: E402

from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType  # noqa: E402
from feast.types import (  # noqa: E402
    Array, Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp)

SCALARS = {
    "bool": Bool, "int32": Int32, "int64": Int64, "float32": Float32, "float64": Float64, "string": String, "bytes": Bytes,
    "timestamp": UnixTimestamp,
}
KEYS = {"int64": ValueType.INT64, "string": ValueType.STRING}
DATA = pathlib.Path(__file__).resolve().parent / "data"


def dtype(kind):
    if kind.startswith("["):
        return Array(SCALARS[kind[1:-1]])
    return Array(Float32) if kind.startswith("vector") else SCALARS[kind]


entities = {}
views = {}
for view in shop.all_views(0):
    for key, kind in view.keys.items():
        entities.setdefault(key, Entity(name=key, join_keys=[key], value_type=KEYS[kind]))
    batch = FileSource(name=f"{view.name}_file", path=str(DATA / f"{view.name}.parquet"), timestamp_field="event_timestamp")
    # Tidemark has no push sources: it takes a view's own name for one.
    source = PushSource(name="live", batch_source=batch) if view.name == "live" else batch
    views[view.name] = FeatureView(
        name=view.name,
        entities=[entities[key] for key in view.keys],
        ttl=datetime.timedelta(hours=1) if view.name == "aged" else datetime.timedelta(0),
        schema=[Field(name=name, dtype=dtype(kind)) for name, kind in view.columns.items()],
        source=source,
    )

services = []
for name, members in shop.SERVICES.items():
    parts = []
    for view in dict.fromkeys(member.partition(":")[0] for member in members):
        chosen = [member.partition(":")[2] for member in members if member.startswith(view + ":")]
        parts.append(views[view][chosen] if chosen else views[view])
    services.append(FeatureService(name=name, features=parts))

# What `feast apply` collects are the names of this module.
globals().update({f"entity_{name}": entity for name, entity in entities.items()})
globals().update({f"view_{name}": view for name, view in views.items()})
globals().update({f"service_{service.name}": service for service in services})
del view, source, batch
