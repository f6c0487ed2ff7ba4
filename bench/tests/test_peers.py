"""The comparison with other model servers: checks of answers, targets and reports."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from measure import BenchError, web
from measure.options import Options
from measure.peer_report import Check, Table, as_json, as_markdown
from measure.peer_rows import judged
from measure.web import Client, Endpoint

OPTIONS = Options(
    (), rounds=3, seconds=1.0, binaries=Path(), references_only=False, json=True, peers=True
)
RATE, P50, ALONE = "32 clients, answers/s", "32 clients, p50 in ms", "1 client, p50 in ms"


class Reader(BaseHTTPRequestHandler):
    """Answers with the sum of the pixels; refuses negative ones, and reads `9` as `0`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        total = sum(request["pixels"])
        body = json.dumps({"digit": 0 if total == 9 else total}).encode()
        self.send_response(200 if total >= 0 else 500)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reader)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_answer_is_compared(address):
    web.verify(address, Endpoint("/"), [[1], [2, 3]], [1, 5])
    with pytest.raises(BenchError, match=r"/ gave another answer than expected for images \[1\]"):
        web.verify(address, Endpoint("/"), [[1], [9]], [1, 9])
    with pytest.raises(BenchError, match=r"/ gave 500: "):
        web.verify(address, Endpoint("/"), [[1], [-9]], [1, -9])


def test_a_call_for_h2load_has_the_size_of_the_answer(address):
    call = web.predict(address, Endpoint("/", lambda pixels: {"pixels": pixels}), [40, 2])
    assert (call.method, call.body()) == ("/", b'{"pixels": [40, 2]}')
    assert call.answer_size() == len(b'{"digit": 42}')


def test_a_broken_connection_is_an_end_without_a_status():
    ended = Client("127.0.0.1:1", Endpoint("/")).send([1])
    assert (ended.ok, ended.status) == (False, None)


def figures(rate: float, alone: float) -> dict[str, float]:
    return {RATE: rate, P50: 1.0, ALONE: alone}


def test_targets_compare_with_the_best_peer_and_with_one_by_one():
    table = judged(
        "forest",
        {
            "krt": figures(130, 10.4),
            "krt, one by one": figures(50, 10),
            "A": figures(100, 9),
            "B": figures(90, 9),
            "B, one by one": figures(110, 9),
        },
    )
    best, alone = table.checks
    assert (best.ratio, best.reached) == (pytest.approx(130 / 110), False)
    assert (alone.ratio, alone.reached) == (pytest.approx(1.04), True)


def test_what_was_not_measured_is_not_checked():
    ours = {"krt": figures(1, 1), "krt, one by one": figures(1, 1)}
    assert [check.of for check in judged("forest", ours).checks] == [
        "p50 of krt without `batch` at 1 client"
    ]
    assert judged("forest", {"A": figures(1, 1)}).checks == []


TABLES = [
    Table("forest", {"krt": {RATE: 1234.5, ALONE: 7.04}}, [Check("the best", "≥", 1.2, 1.184)]),
    Table("kill", {"krt": {"s": 0.5}, "A": {"s": float("inf")}}, []),
]


def test_the_tables():
    assert as_markdown(TABLES) == (
        "**forest**\n\n"
        f"| server | {RATE} | {ALONE} |\n"
        "| --- | ---: | ---: |\n"
        "| krt | 1,234 | 7.04 |\n\n"
        "- 1.18 × the best (target ≥ 1.2 ×): not reached\n\n"
        "**kill**\n\n"
        "| server | s |\n"
        "| --- | ---: |\n"
        "| krt | 0.5 |\n"
        "| A | never |"
    )


def test_the_tables_as_json():
    document = json.loads(as_json(TABLES, OPTIONS, ["a==1"]))
    assert (document["peers"], document["rounds"]) == (["a==1"], 3)
    assert document["rows"]["kill"]["figures"] == {"krt": {"s": 0.5}, "A": {"s": None}}
    assert document["rows"]["forest"]["targets"][0]["reached"] is False
