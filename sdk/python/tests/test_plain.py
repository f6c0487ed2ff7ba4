"""`payload: json`: handlers with plain data."""

from __future__ import annotations

import json

import pytest
from fake_engine import ANSWER, ERROR, NONE, TOO_LARGE

from krt.errors import AnswerError
from krt.testing import FakeContext
from krt.testing import run as try_out


@pytest.fixture
def plain(serve):
    """Starts the worker of a node with plain data, from the body of its handler."""

    def start(body, **options):
        indented = body.strip().replace("\n", "\n    ")
        code = f"import datetime, math\nasync def handler(ctx, data):\n    {indented}\n"
        return serve(code, payload="json", **options)

    return start


def test_input_and_output_are_dicts(plain):
    body = "return {'greeting': 'Hello ' + data['name'], 'list': [1, 2.5, None], 'pair': (1, 2)}"
    engine = plain(body)
    result = engine.ask({"name": "Ada ☃"})
    assert result.status == ANSWER
    assert json.loads(result.last) == {
        "greeting": "Hello Ada ☃",
        "list": [1, 2.5, None],
        "pair": [1, 2],
    }


def test_an_early_reply_is_plain_data_too(plain):
    engine = plain("await ctx.early_reply({'text': 'early'})\nreturn None")
    assert engine.ask({}).status == NONE
    assert [reply for _, reply in engine.seen.replies] == [{"text": "early"}]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("{'a': [{'b': object()}]}", "field `a[0].b` is a `builtins.object`, not plain data"),
        (
            "{'at': datetime.date(2024, 1, 1)}",
            "field `at` is a `datetime.date`, not plain data",
        ),
        ("{'tags': {1}}", "field `tags` is a `builtins.set`, not plain data; hint: make it a list"),
        ("{'n': math.nan}", "field `n` is nan, which JSON does not have"),
        ("{'m': {(1, 2): 3}}", "a key of field `m` is (1, 2), a `tuple`; hint: make it a text"),
        ("b'bytes'", "the answer is a `builtins.bytes`, not plain data"),
        ("{'text': '\\ud800'}", "the answer is no JSON: 'utf-8' codec can't encode"),
    ],
)
def test_unsupported_values_name_their_field(plain, answer, expected):
    engine = plain(f"return {answer}")
    result = engine.ask({})
    assert result.status == ERROR
    assert expected in result.last.decode()


def test_circular_data_is_refused(plain):
    engine = plain("data['self'] = data\nreturn data")
    result = engine.ask({})
    assert result.status == ERROR
    assert "is nested more than 100 levels deep" in result.last.decode()


def test_the_limit_applies(plain):
    engine = plain("return {'text': 'x' * 100}", max_message=64)
    result = engine.ask({})
    assert result.status == TOO_LARGE


def test_no_protobuf_is_needed(plain):
    engine = plain(
        "import sys\nreturn {'loaded': [n for n in sys.modules if n.startswith('google.')]}"
    )
    assert json.loads(engine.ask({}).last) == {"loaded": []}


def test_numpy_values_become_python_values(plain):
    pytest.importorskip("numpy")
    engine = plain("import numpy\nreturn {'n': numpy.int64(7), 'a': numpy.array([[1.5], [2.5]])}")
    assert json.loads(engine.ask({}).last) == {"n": 7, "a": [[1.5], [2.5]]}


def test_a_dict_from_a_node_without_the_key_has_a_hint(serve):
    engine = serve("async def handler(ctx, data):\n    return {'a': 1}\n")
    result = engine.ask("")
    assert result.status == ERROR
    assert "hint: give the node `payload: json` in krt.yml" in result.last.decode()


def test_an_unknown_payload_is_refused(launch):
    engine = launch("async def handler(ctx, data): pass", payload="xml")
    assert "HELLO asks for the payload `xml`" in engine.broken()


async def greet(ctx, data):
    await ctx.early_reply({"early": data["name"]})
    return {"greeting": data["name"], "when": data.get("when")}


def test_a_handler_is_tried_with_a_dict():
    context = FakeContext()
    assert try_out(greet, {"name": "Ada"}, context=context) == {"greeting": "Ada", "when": None}
    assert context.replies == [{"early": "Ada"}]

    async def wrong(ctx, data):
        return {"bad": {1, 2}}

    with pytest.raises(AnswerError, match=r"field `bad` is a `builtins\.set`"):
        try_out(wrong, {})
