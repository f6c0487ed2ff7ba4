"""What a handler can do beside answering."""

import json
from datetime import datetime, timezone

from public_input_pb2 import Answer
from worker import answer, on, put, until

DAY = datetime(2024, 2, 29, 12, 30, 15, 250000)


async def save_document(ctx, order):
    document = {
        "text": "naïve ☃",
        "whole": 7,
        "large": 2**53 + 1,
        "real": 7.0,
        "yes": True,
        "nothing": None,
        "date": DAY.replace(tzinfo=timezone.utc),
        "bytes": b"\x00\xff",
        "inner": {"a": "deep"},
    }
    await ctx.db.save("things", document)
    [found] = await ctx.db.find("things", {"inner.a": "deep"})
    del found["_id"]
    return answer(json.dumps([found == {**document, "date": DAY}]))


async def find_documents(ctx, order):
    for number in range(5):
        await ctx.db.save("numbers", {"number": number, "even": number % 2 == 0})
    queries = [{"even": True}, {"number": {"$gt": 1}}, {"number": 9}, {"even": {"$exists": True}}]
    counts = [len(await ctx.db.find("numbers", query)) for query in queries]
    starts = await ctx.db.find("starts", {"node": "worker"})
    return answer(json.dumps([*counts, len(starts)]))


async def wrong(ctx, order):
    calls = {
        "save without collection": lambda: ctx.db.save("", {}),
        "save a list": lambda: ctx.db.save("c", [1]),
        "save a set": lambda: ctx.db.save("c", {"a": {"b": {1}}}),
        "find without collection": lambda: ctx.db.find("", {"a": 1}),
        "find without query": lambda: ctx.db.find("c", {}),
        "find by nonsense": lambda: ctx.db.find("c", {"a": {"$nope": 1}}),
    }
    await calls[order.text]()


async def measure(ctx, order):
    save = ctx.measurement.save
    save("kinds", {"text": "a", "whole": 1, "real": 1.5, "one": 1.0, "yes": True}, {"tag": "t"})
    save("own tags", {"n": 1}, {"node": "mine", "version": "mine", "workflow": "mine"})
    save("partly", {"good": 1, "map": {}, "nan": float("nan")}, {})
    save("", {"n": 1}, {})
    return answer("measured")


async def predict(ctx, order):
    prediction = ctx.prediction
    await prediction.save("cat", "dog", utcdate=DAY)
    await prediction.save(error=prediction.ERR_MISSING_VALUES)
    await prediction.save(error=prediction.ERR_NEW_LABELS)
    await prediction.save_pending("cat", utcdate=DAY)
    for wrong in ({"predicted_value": "", "true_value": "dog"}, {"error": "other"}):
        try:
            await prediction.save(**wrong)
        except ValueError as error:
            ctx.logger.error(str(error))
    return answer("predicted")


async def update(ctx, order):
    await ctx.prediction.update(order.text, "dog")
    return answer("updated")


async def speak(ctx, order):
    ctx.logger.debug("a debug record")
    ctx.logger.info("an %s record", "info")
    ctx.logger.warning("a warning")
    ctx.logger.error("an error record: %d", 7)
    print("a printed line")
    for number in range(order.number):
        ctx.logger.info("record %d", number)
    return answer("spoken")


async def reply(ctx, order):
    await ctx.early_reply(Answer(text="early"))
    await until("go")
    return on(order, "")


async def old_reply(ctx, order):
    await ctx.reply(Answer(text="early, by its old name"))
    return on(order, "")


async def reply_twice(ctx, order):
    await ctx.early_reply(Answer(text="once"))
    try:
        await ctx.early_reply(Answer(text="twice"))
    except Exception as error:
        put("second reply", str(error))
    return on(order, "")


async def reply_and_fail(ctx, order):
    await ctx.early_reply(Answer(text="early"))
    raise RuntimeError("after the answer")


async def leave(ctx, order):
    ctx.early_exit()
    return answer("out")


async def reply_and_exit(ctx, order):
    ctx.set_early_exit()
    await ctx.early_reply(Answer(text="early"))
    return answer("dropped")


acts = {
    "save_document": save_document,
    "find_documents": find_documents,
    "wrong": wrong,
    "measure": measure,
    "predict": predict,
    "update": update,
    "speak": speak,
    "reply": reply,
    "old_reply": old_reply,
    "reply_twice": reply_twice,
    "reply_and_fail": reply_and_fail,
    "exit": leave,
    "reply_and_exit": reply_and_exit,
}
