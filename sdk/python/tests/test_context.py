"""The messages of the context, and its treatment of arguments."""

from __future__ import annotations

import asyncio
import math
import os
from datetime import datetime, timedelta, timezone
from time import time_ns

import pytest

from krt import errors, testing
from krt.testing import FakeContext


@pytest.fixture
def context() -> FakeContext:
    return FakeContext(node="etl", version="v1", version_id="64b1")


def test_values(context):
    context.set("model", 5)
    context.set("none", None)
    assert context.get("model") == 5
    assert context.get("none") is None
    with pytest.raises(AttributeError) as error:
        context.get("modle")
    assert str(error.value) == (
        "no value is kept for `modle`; kept: `model`, `none`; "
        "hint: call ctx.set('modle', …) in init"
    )


def test_paths(tmp_path):
    context = FakeContext(base_path=tmp_path)
    assert context.path("models/a.joblib") == os.path.join(str(tmp_path), "models/a.joblib")
    assert context.path("/absolute") == "/absolute"


@pytest.mark.parametrize("collection", ["", None, 5])
def test_collections(context, collection):
    message = f"[ctx.db.save] invalid 'collection'='{collection}', must be a nonempty string"
    with pytest.raises(errors.ArgumentError) as error:
        asyncio.run(context.db.save(collection, {"a": 1}))
    assert str(error.value) == message
    with pytest.raises(errors.ArgumentError) as error:
        asyncio.run(context.db.find(collection, {"a": 1}))
    assert str(error.value) == message.replace("save", "find")


@pytest.mark.parametrize("query", [{}, None, "a", 5, []])
def test_queries(context, query):
    with pytest.raises(errors.ArgumentError) as error:
        asyncio.run(context.db.find("coll", query))
    assert str(error.value) == f"[ctx.db.find] invalid 'query'='{query}', must be a nonempty dict"


def test_documents_must_be_dicts(context):
    with pytest.raises(errors.ArgumentError, match=r"invalid 'data'='\[1\]', must be a dict"):
        asyncio.run(context.db.save("coll", [1]))


def test_failures_of_the_store_are_raised(context):
    context.fail("it is down")
    with pytest.raises(errors.DatabaseError) as error:
        asyncio.run(context.db.find("coll", {"a": 1}))
    assert str(error.value) == "[ctx.db.find] error getting data from MongoDB: it is down"
    with pytest.raises(errors.DatabaseError, match="it is down"):
        asyncio.run(context.db.save("coll", {"a": 1}))
    with pytest.raises(errors.DatabaseError, match="it is down"):
        asyncio.run(context.prediction.save("a", "b"))
    with pytest.raises(errors.DatabaseError) as error:
        asyncio.run(context.prediction.update("r-1", "b"))
    assert str(error.value) == "[ctx.prediction.update] error saving the true value: it is down"


class TestPrediction:
    def test_the_document_of_a_prediction(self, context):
        moment = datetime(2024, 1, 31, 12, 0, 0, 5)
        asyncio.run(context.prediction.save("cat", "dog", {"score": 0.5}, moment))
        assert context.saved("classificationMetrics") == [
            {
                "date": "2024-01-31T12:00:00.000005Z",
                "error": "",
                "predictedValue": "cat",
                "trueValue": "dog",
                "extra": {"score": 0.5},
                "versionId": "64b1",
                "versionName": "v1",
            }
        ]

    def test_now_is_the_default(self, context):
        before = datetime.now(timezone.utc)
        asyncio.run(context.prediction.save("cat", "dog"))
        [document] = context.predictions
        date = datetime.strptime(document["date"] + "+0000", "%Y-%m-%dT%H:%M:%S.%fZ%z")
        assert before <= date <= datetime.now(timezone.utc)
        assert document["extra"] is None

    def test_a_true_value_may_come_later(self, context):
        ids = []

        async def handler(ctx, data):
            await ctx.prediction.save_pending("cat", {"score": 0.5})
            await ctx.prediction.update("an earlier one", "dog")
            ids.append(ctx.request_id)
            return data

        testing.run(handler, {}, context=context)
        [prediction] = context.predictions
        assert (prediction["predictedValue"], prediction["trueValue"]) == ("cat", "")
        assert [prediction["requestId"]] == ids
        [update] = context.prediction_updates
        datetime.strptime(update.pop("date"), "%Y-%m-%dT%H:%M:%S.%fZ")
        assert update == {"requestId": "an earlier one", "trueValue": "dog"}

    @pytest.mark.parametrize(
        ("method", "arguments", "wrong"),
        [
            ("save_pending", ("",), "'predicted_value'=''"),
            ("save_pending", (None,), "'predicted_value'='None'"),
            ("update", ("", "dog"), "'request_id'=''"),
            ("update", ("r-1", 5), "'true_value'='5'"),
        ],
    )
    def test_messages_of_later_values(self, context, method, arguments, wrong):
        with pytest.raises(errors.ArgumentError) as error:
            asyncio.run(getattr(context.prediction, method)(*arguments))
        assert (
            str(error.value)
            == f"[ctx.prediction.{method}] invalid {wrong}, must be a nonempty string"
        )
        assert context.predictions == context.prediction_updates == []

    @pytest.mark.parametrize("error", ["missing_values", "new_labels"])
    def test_errors_need_no_values(self, context, error):
        asyncio.run(context.prediction.save(error=error))
        assert context.predictions[0]["error"] == error
        assert error in (context.prediction.ERR_MISSING_VALUES, context.prediction.ERR_NEW_LABELS)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"error": "odd"},
                "[ctx.prediction.save] invalid value for metric error odd should be one of "
                "'missing_values,new_labels'",
            ),
            (
                {},
                "[ctx.prediction.save] invalid 'predicted_value'='', must be a nonempty string",
            ),
            (
                {"predicted_value": 5, "true_value": "a"},
                "[ctx.prediction.save] invalid 'predicted_value'='5', must be a nonempty string",
            ),
            (
                {"predicted_value": "a"},
                "[ctx.prediction.save] invalid 'true_value'='', must be a nonempty string",
            ),
            (
                {"utcdate": datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
                "Input date must be a UTC datetime",
            ),
            ({"utcdate": "2024-01-01T00:00:00+01:00"}, "Input date must be a UTC datetime"),
            ({"utcdate": 5}, "Input date must be a UTC datetime, not 5"),
        ],
    )
    def test_messages(self, context, arguments, message):
        if "utcdate" in arguments:
            arguments = {"predicted_value": "a", "true_value": "b", **arguments}
        with pytest.raises(errors.ArgumentError) as error:
            asyncio.run(context.prediction.save(**arguments))
        assert str(error.value) == message
        assert context.predictions == []

    @pytest.mark.parametrize(
        "moment",
        [
            "2024-01-31T12:00:00Z",
            "2024-01-31T12:00:00",
            "2024-01-31 12:00:00.000+00:00",
            datetime(2024, 1, 31, 12),
            datetime(2024, 1, 31, 12, tzinfo=timezone.utc),
        ],
    )
    def test_dates(self, context, moment):
        asyncio.run(context.prediction.save("a", "b", utcdate=moment))
        assert context.predictions[0]["date"] == "2024-01-31T12:00:00.000000Z"


class TestMeasurement:
    def test_valid_fields_and_tags_are_kept(self, context):
        fields = {"text": "a", "int": 3, "float": 0.5, "bool": True, "é": -1}
        before = time_ns()
        context.measurement.save("calls", fields, {"kind": "a", "count": 5, "none": None})
        [point] = context.measurements
        assert before <= point.pop("time") <= time_ns()
        assert point == {
            "measurement": "calls",
            "fields": fields,
            "tags": {"kind": "a", "count": "5", "none": "None"},
        }
        assert {key: type(value) for key, value in point["fields"].items()} == {
            key: type(value) for key, value in fields.items()
        }
        assert context.logs == []

    @pytest.mark.parametrize(
        ("time", "precision", "nanoseconds"),
        [
            (5, "ns", 5),
            (5, "us", 5_000),
            (5, "ms", 5_000_000),
            (5, "s", 5_000_000_000),
            (0.5, "s", 500_000_000),
            (datetime(1970, 1, 1, 0, 0, 1), "s", 10**9),
            (datetime(1970, 1, 1, 1, 0, 1, tzinfo=timezone(timedelta(hours=1))), "ns", 10**9),
            ("1970-01-01T00:00:01.5Z", "s", 1_500_000_000),
        ],
    )
    def test_times(self, context, time, precision, nanoseconds):
        precisions = {
            "s": context.measurement.PRECISION_S,
            "ms": context.measurement.PRECISION_MS,
            "us": context.measurement.PRECISION_US,
            "ns": context.measurement.PRECISION_NS,
        }
        context.measurement.save("calls", {"a": 1}, {}, time, precisions[precision])
        assert context.measurements[0]["time"] == nanoseconds

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ({"b": 1}, "it is {'b': 1}, a `dict`, not a text, a number or a boolean"),
            ([1], "it is [1], a `list`"),
            (None, "it is None"),
            (math.nan, "it is nan"),
            (math.inf, "it is inf"),
            (1 << 64, "it is an integer of more than 64 bits"),
            ("\ud800", "it is no valid text"),
        ],
    )
    def test_an_invalid_field_is_named_and_the_others_are_kept(self, context, value, reason):
        context.measurement.save("calls", {"good": 1, "bad": value}, {})
        assert context.measurements[0]["fields"] == {"good": 1}
        [log] = context.logs
        assert log.level == "WARNING"
        assert "measurement `calls`: its field `bad` is left out: " + reason in log.text

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("", {"a": 1}), "its name must be a nonempty text"),
            ((None, {"a": 1}), "its name must be a nonempty text"),
            (("calls", {}), "it has no field left"),
            (("calls", None), "its fields are None, which is no dict"),
            (("calls", {"": 1}), "its field `` is left out: its name must be a nonempty text"),
            (("calls", {5: 1}), "its field `5` is left out"),
            (("calls", {"a": 1}, {}, "yesterday"), "`yesterday` is no ISO 8601 date"),
            (("calls", {"a": 1}, {}, -1), "its time, -1, is not between"),
            (("calls", {"a": 1}, {}, 10**10, "s"), "is not between the years 1970 and 2262"),
            (("calls", {"a": 1}, {}, math.nan), "its time is nan"),
            (("calls", {"a": 1}, {}, 5, "h"), "its precision is 'h'"),
            (("calls", {"a": 1}, {}, 5, []), "it is not saved"),
        ],
    )
    def test_failed_saves_are_logged(self, context, arguments, reason):
        context.measurement.save(*arguments)
        assert context.measurements == []
        assert any(reason in log.text for log in context.logs), context.logs
        assert any("it is not saved" in log.text for log in context.logs)

    def test_invalid_tags_are_omitted(self, context):
        context.measurement.save("calls", {"a": 1}, {"": "x", "b": "c"})
        context.measurement.save("calls", {"a": 1}, "tags")
        assert [point["tags"] for point in context.measurements] == [{"b": "c"}, {}]
        assert len(context.logs) == 2

    def test_numpy(self, context):
        numpy = pytest.importorskip("numpy")
        context.measurement.save(
            "calls", {"i": numpy.int32(1), "f": numpy.float32(0.5), "b": numpy.bool_(False)}
        )
        assert context.measurements[0]["fields"] == {"i": 1, "f": 0.5, "b": False}
        assert context.measurements[0]["fields"]["b"] is False
