"""What ops/feast/compare_test materializes. `feast apply` reads this file."""
import datetime
import os
import pathlib

import pandas
from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import (
    Array, Bool, Bytes, Decimal, Float32, Float64, Int32, Int64, Json, Map, Set, String, TimeUuid, UnixTimestamp, Uuid)

DATA = pathlib.Path(__file__).resolve().parent / "data"
# The second time there is more in the registry, some of which nobody but Feast can serve.
MORE = os.environ.get("TIDEMARK_COMPARE_MORE") == "yes"

MATRIX = {
    "a_bool": Bool, "an_int32": Int32, "an_int64": Int64, "a_float32": Float32, "a_float64": Float64, "a_string": String,
    "some_bytes": Bytes, "a_time": UnixTimestamp, "a_json": Json, "a_uuid": Uuid, "a_time_uuid": TimeUuid, "a_decimal": Decimal,
    "bools": Array(Bool), "int32s": Array(Int32), "int64s": Array(Int64), "float32s": Array(Float32), "float64s": Array(Float64),
    "strings": Array(String), "bytes_list": Array(Bytes), "times": Array(UnixTimestamp), "uuids": Array(Uuid),
    "decimals": Array(Decimal), "string_set": Set(String), "int64_set": Set(Int64),
}

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
shelf = Entity(name="shelf", join_keys=["shelf"], value_type=ValueType.INT32)
sample = Entity(name="sample", join_keys=["sample_id"], value_type=ValueType.INT64)
hour = Entity(name="hour", join_keys=["hour"], value_type=ValueType.UNIX_TIMESTAMP)


def view(name, entities, features, ttl=datetime.timedelta(0)):
    source = FileSource(name=f"{name}_file", path=str(DATA / f"{name}.parquet"), timestamp_field="event_timestamp")
    return FeatureView(
        name=name, entities=entities, ttl=ttl, schema=[Field(name=name, dtype=dtype) for name, dtype in features.items()],
        source=source)


driver_stats = view("driver_stats", [driver], {
    "driver_id": Int64, "conv_rate": Float32, "acc_rate": Float64, "trips": Int64, "town": String, "active": Bool})
driver_more = view("driver_more", [driver], {"driver_id": Int64, "trips": Int64, "stars": Int32})
user_item = view("user_item", [user, item], {"user_id": Int64, "item_id": String, "times": Int64, "score": Float64})
shelves = view("shelves", [shelf], {"shelf": Int32, "width": Float64})
# Younger than that are only some.
aged = view("aged", [driver], {"driver_id": Int64, "age_value": Int64}, ttl=datetime.timedelta(hours=1))
everybody = view("everybody", [], {"drivers": Int64, "season": String})
hours = view("hours", [hour], {"hour": UnixTimestamp, "load": Float32})
type_matrix = view("type_matrix", [sample], {"sample_id": Int64, **MATRIX})

plain = FeatureService(name="plain", features=[driver_stats[["trips", "town"]], driver_more])
mixed = FeatureService(name="mixed", features=[driver_stats[["conv_rate"]], user_item])

if MORE:
    maps = view("maps", [sample], {"sample_id": Int64, "a_map": Map, "beside": Int64})
    late = view("late", [driver], {"driver_id": Int64, "late_value": Int64})
    aliased = FeatureService(name="aliased", features=[driver_more.with_name("other_name")])
    request = RequestSource(name="request", schema=[Field(name="factor", dtype=Int64)])

    @on_demand_feature_view(sources=[driver_more, request], schema=[Field(name="product", dtype=Int64)])
    def computed(inputs: pandas.DataFrame) -> pandas.DataFrame:
        return pandas.DataFrame({"product": inputs["trips"] * inputs["factor"]})
