"""Code for older runners works unchanged, and gets a hint about the new names."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime

import pytest
from fake_engine import DONE, SAVE
from google.protobuf.wrappers_pb2 import StringValue

from krt.errors import ArgumentError, EarlyReplyError
from krt.testing import FakeContext, run

DATE = "2020-04-06T09:02:09.277853Z"
SAVES = {
    "ctx.save_metric('a', 'b', DATE)": ("a", "b", "", DATE, "ctx.save_metric"),
    "ctx.save_metric(date=DATE, predicted_value='a', true_value='b')": (
        *("a", "b", "", DATE, "ctx.save_metric"),
    ),
    "ctx.save_metric(error=ctx.ERR_MISSING_VALUES, date='2020-04-07T00:00:00.0Z')": (
        *("", "", "missing_values", "2020-04-07T00:00:00.000000Z", "ctx.save_metric"),
    ),
    "ctx.save_metric(error=ctx.ERR_NEW_LABELS)": ("", "", "new_labels", None, "ctx.save_metric"),
    "ctx.metrics.save(error=ctx.metrics.ERR_NEW_LABELS)": (
        *("", "", "new_labels", None, "ctx.metrics"),
    ),
    "ctx.prediction.save(predicted_value='a', true_value='b', date=DATE)": (
        *("a", "b", "", DATE, "ctx.prediction.save(date=…)"),
    ),
    "ctx.prediction.save('a', 'b', date='')": (
        *("a", "b", "", None, "ctx.prediction.save(date=…)"),
    ),
    "ctx.prediction.save('a', 'b', DATE)": (
        *("a", "b", "", DATE, "ctx.prediction.save(…, …, DATE)"),
    ),
    "ctx.prediction.save('', '', WHEN, 'missing_values')": (
        *("", "", "missing_values", "2024-02-29T00:00:00.000000Z"),
        "ctx.prediction.save(…, …, DATE)",
    ),
    "ctx.prediction.save(error='new_labels', date=WHEN)": (
        *("", "", "new_labels", "2024-02-29T00:00:00.000000Z", "ctx.prediction.save(date=…)"),
    ),
    "ctx.prediction.save('a', 'b', {'x': 1}, DATE)": ("a", "b", "", DATE, None),
}


@pytest.mark.parametrize("call", SAVES)
def test_predictions(call):
    predicted, true, error, date, old = SAVES[call]
    context = FakeContext()
    names = {"ctx": context, "DATE": DATE, "WHEN": datetime(2024, 2, 29)}
    for _ in range(2):
        asyncio.run(eval(call, names))
    document = context.predictions[0]
    found = (document["predictedValue"], document["trueValue"], document["error"])
    assert found == (predicted, true, error)
    assert document["extra"] == ({"x": 1} if "'x'" in call else None)
    assert date in (None, document["date"])
    warned = [log.text for log in context.logs]
    assert warned == ([] if old is None else [warned[0]])
    if old is not None:
        assert warned[0].startswith(f"`{old}` is an old name; hint: use `")
        assert context.logs[0].level == "WARNING"


@pytest.mark.parametrize(
    "call",
    [
        "ctx.prediction.save('a', 'b', date='yesterday')",
        "ctx.prediction.save('a', 'b', 'yesterday')",
        "ctx.save_metric('a', 'b', 'yesterday')",
        "ctx.save_metric('a')",
        "ctx.save_metric(error='other')",
        "ctx.prediction.save('', '', '', 'other')",
    ],
)
def test_wrong_predictions_fail_as_before(call):
    with pytest.raises(ArgumentError):
        asyncio.run(eval(call, {"ctx": FakeContext()}))


def test_values_paths_and_documents():
    context = FakeContext(base_path="/package")
    for _ in range(2):
        context.set_value("key", 5)
        assert context.get_value("key") == context.get("key") == 5
        assert context.get_path("models/m") == "/package/models/m"
        asyncio.run(context.save_data("things", {"n": 1}))
    assert asyncio.run(context.get_data("things", {"n": 1})) == [{"n": 1}] * 2
    with pytest.raises(AttributeError):
        context.get_value("other")
    old = ("set_value", "get_value", "get_path", "save_data", "get_data")
    new = ("set", "get", "path", "db.save", "db.find")
    assert [log.text for log in context.logs] == [
        f"`ctx.{before}` is an old name; hint: use `ctx.{after}`" for before, after in zip(old, new)
    ]


def test_early_replies():
    async def handler(ctx, data):
        ctx.set_early_exit()
        await ctx.reply(StringValue(value="early"))
        with pytest.raises(EarlyReplyError):
            await ctx.reply(data)
        return data

    context = FakeContext()
    run(handler, StringValue(), context=context)
    assert context.exited
    assert [reply.value for reply in context.replies] == ["early"]
    assert [log.text for log in context.logs] == [
        "`ctx.set_early_exit` is an old name; hint: use `ctx.early_exit`",
        "`ctx.reply` is an old name; hint: use `ctx.early_reply`",
    ]


def test_a_node_over_json(serve):
    engine = serve(
        """
        def init(ctx):
            ctx.set_value("greeting", "Hello")

        async def handler(ctx, data):
            result = f"{ctx.get_value('greeting')} {data['name']}!"
            await ctx.save_metric(date="2020-04-06T09:02:09.277853Z",
                                  predicted_value="class_x", true_value="class_y")
            await ctx.save_metric(error=ctx.ERR_MISSING_VALUES, date="2020-04-07T00:00:00.0Z")
            await ctx.save_metric(error=ctx.ERR_NEW_LABELS)
            await ctx.save_data("test_data", {"random": 123})
            return {"greeting": result}
        """,
        payload="json",
    )
    engine.on_call = lambda call: engine.send(DONE, call.id)
    for name in ("Ada", "Bob"):
        result = engine.ask({"name": name})
        assert result.last == b'{"greeting":"Hello %s!"}' % name.encode()
    assert [call.kind for call in engine.seen.calls] == [SAVE] * 8
    warned = [log.text.split("`")[1] for log in engine.seen.logs if log.level == 2]
    assert warned == ["ctx.set_value", "ctx.get_value", "ctx.save_metric", "ctx.save_data"]
    assert engine.stop() == 0


USES = [
    "data['name']",
    "data.get('name')",
    "data.items()",
    "'name' in data",
    "list(data)",
    "dict(data)",
    "{**data}",
    "len(data)",
    "[x for x in data]",
    *(["data.name", "data.name.first"] if sys.version_info >= (3, 10) else []),
    "__import__('json').loads(data)",
    "__import__('json').dumps(data)",
    "__import__('collections').ChainMap(data)['name']",
]


@pytest.mark.parametrize("prefix", ["", "async "])
def test_data_used_as_a_dict_names_the_line_to_add(serve, prefix):
    engine = serve(
        "from google.protobuf.wrappers_pb2 import StringValue\n"
        f"{prefix}def handler(ctx, data):\n"
        "    code = StringValue()\n    data.Unpack(code)\n    return eval(code.value)\n"
    )
    for use in USES:
        error = engine.ask(use).error
        assert "; hint: " in error, use
        assert "add `payload: json` to node `etl` in krt.yml" in error, use
        *_, log = engine.seen.logs
        assert log.text.splitlines()[-1].startswith("hint: `data` is a "), use
    assert engine.stop() == 0


@pytest.mark.parametrize(
    "use",
    [
        "{}['name']",
        "[].get",
        "None['x']",
        "StringValue().nothing",
        "StringValue(value=data)",
        "len(5)",
        "int('Any')",
        "__import__('typing').Any()",
    ],
)
def test_other_errors_stay_unchanged(serve, use):
    engine = serve(
        "from google.protobuf.wrappers_pb2 import StringValue\n"
        "async def handler(ctx, data):\n"
        "    code = StringValue()\n    data.Unpack(code)\n    return eval(code.value)\n"
    )
    assert "hint" not in engine.ask(use).error


def test_a_dict_used_as_a_message_names_the_line_to_remove(serve):
    engine = serve("async def handler(ctx, data):\n    data.Unpack(None)", payload="json")
    error = engine.ask({}).error
    assert "node `etl` has `payload: json` in krt.yml; remove that line" in error
    assert engine.stop() == 0
