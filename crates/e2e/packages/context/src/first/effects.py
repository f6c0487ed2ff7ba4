"""What a handler can do beside answering."""

import json
from datetime import datetime, timedelta, timezone

DAY = datetime(2024, 2, 29, 12, 30, 15, 250000)
DOCUMENT = {
    "text": "naïve ☃",
    "whole": 7,
    "large": 2**53 + 1,
    "real": 7.0,
    "yes": True,
    "nothing": None,
    "date": DAY.replace(tzinfo=timezone.utc),
    "bytes": b"\x00\xff",
    "list": [1, 2.5, "three", {"four": 4}],
    "inner": {"a": {"b": "deep"}},
}


async def save_document(ctx, order):
    await ctx.db.save("things", DOCUMENT)
    [found] = await ctx.db.find("things", {"inner.a.b": "deep"})
    found.pop("_id")
    expected = {**DOCUMENT, "date": DAY}
    differing = [key for key in expected if repr(found.get(key)) != repr(expected[key])]
    return json.dumps({"differing": differing, "keys": sorted(found)})


async def find_documents(ctx, order):
    for number in range(5):
        await ctx.db.save("numbers", {"number": number, "even": number % 2 == 0})
    counts = [
        len(await ctx.db.find("numbers", query))
        for query in ({"even": True}, {"number": {"$gt": 1}}, {"number": 9}, {"even": {"$exists": True}})
    ]
    starts = await ctx.db.find("starts", {"node": "first"})
    return json.dumps([*counts, len(starts)])


async def wrong(ctx, order):
    """Evaluates the call in the request's text, which raises."""
    return str(await eval(order.text, {"ctx": ctx, "datetime": datetime, "timezone": timezone, "timedelta": timedelta}))


async def measure(ctx, order):
    save, measurement = ctx.measurement.save, ctx.measurement
    save("kinds", {"text": "a", "whole": 1, "real": 1.5, "yes": True}, {"tag": "t"})
    save("times", {"n": 1}, {}, 1_700_000_000, measurement.PRECISION_S)
    save("times", {"n": 2}, {}, 1_700_000_001_000, precision=measurement.PRECISION_MS)
    save("times", {"n": 3}, {}, 1_700_000_002_000_000, precision=measurement.PRECISION_US)
    save("times", {"n": 4}, {}, 1_700_000_003_000_000_000, precision=measurement.PRECISION_NS)
    save("times", {"n": 5}, {}, datetime(2023, 11, 14, 22, 13, 24))
    save("times", {"n": 6}, {}, datetime(2023, 11, 14, 23, 13, 25, tzinfo=timezone(timedelta(hours=1))))
    save("own tags", {"n": 1}, {"node": "mine", "version": "mine", "workflow": "mine"})
    save("partly", {"good": 1, "dict": {}, "nan": float("nan")}, {})
    save("", {"n": 1}, {})
    save("empty", {}, {})


async def predict(ctx, order):
    save, prediction = ctx.prediction.save, ctx.prediction
    await save("cat", "dog", {"score": 0.5}, datetime(2024, 1, 2, 3, 4, 5, 600000))
    await save("a", "a", utcdate="2024-01-02T03:04:06Z")
    await save("a", "b", utcdate=datetime(2024, 1, 2, 3, 4, 7, tzinfo=timezone.utc))
    await save(error=prediction.ERR_MISSING_VALUES, utcdate=datetime(2024, 1, 2, 3, 4, 8))
    await save(error=prediction.ERR_NEW_LABELS, utcdate=datetime(2024, 1, 2, 3, 4, 9))


async def speak(ctx, order):
    ctx.logger.debug("a debug record")
    ctx.logger.info("an info record")
    ctx.logger.warning("a warning")
    ctx.logger.error("an error record")
    print("a printed line")
    print("and another")
    try:
        raise LookupError("was caught")
    except LookupError:
        ctx.logger.exception("with its traceback")


async def fail(ctx, order):
    raise ValueError(order.text)
