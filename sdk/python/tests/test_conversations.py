"""Plays the conversations of `protocol/conversations` to a real worker."""

from __future__ import annotations

import json
import re
import struct
from collections import deque
from pathlib import Path
from typing import Any, Callable, Dict

import conversation_nodes
import fake_engine
import pytest
from fake_engine import PATIENCE, Engine, frame
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import StringValue

PROTOCOL = Path(__file__).parents[3] / "protocol"
CONVERSATIONS = sorted(PROTOCOL.glob("conversations/*.json"))
STATUSES = ("answer", "none", "error", "cancelled", "too_large")
LEVELS = ("debug", "info", "warn", "error", "plain")
KINDS = dict(
    enumerate(
        (
            "READY",
            "BROKEN",
            "RESULT",
            "EARLY_REPLY",
            "LOG",
            "MEASUREMENT",
            "SAVE",
            "FIND",
            "MESSAGE",
        ),
        start=fake_engine.READY,
    )
)
URL = "type.googleapis.com/"
Read = Callable[[bytes], Dict[str, Any]]
NODE = """
from conversation_nodes import HANDLERS, INITS

handler = HANDLERS[{handler!r}]
init = INITS[{init!r}] if {init!r} else None
"""


class Player(Engine):
    """An engine that sends the frames of a conversation, and keeps the worker's frames in order."""

    def __init__(self, hello: dict[str, Any], folder: Path) -> None:
        self._received: deque[dict[str, Any]] = deque()
        tests = str(Path(__file__).parent)
        super().__init__(hello, environment={"PYTHONPATH": tests}, folder=folder)
        self.on_call = lambda call: None

    def say(self, entry: dict[str, Any]) -> None:
        """Sends one frame, or closes the socket."""
        if "raw" in entry:
            self._send(bytes.fromhex(entry["raw"]))
        elif entry["engine"] == "LEAVE":
            self.hang_up()
        else:
            kind, number = getattr(fake_engine, entry["engine"]), entry.get("id", 0)
            if kind == fake_engine.DELIVER and entry.get("flags", 0) & fake_engine.STREAM:
                self._unpaid[number] = [0, 0]
            if kind == fake_engine.CREDIT and len(body_of(entry)) == 12:
                for index, paid in enumerate(struct.unpack("<IQ", body_of(entry))):
                    self._unpaid[number][index] -= paid
            if kind == fake_engine.DELIVER:
                self._open.append(number)
            self._send(frame(kind, number, body_of(entry)))

    def receive(self) -> dict[str, Any]:
        """Waits for one frame from the worker."""
        self._until(lambda: bool(self._received))
        return self._received.popleft()

    def end(self) -> int:
        """Waits for the end of a worker that sends no more frames, and returns its exit status."""
        while self._sock.fileno() >= 0 and self._read():
            pass
        assert not self._received, f"nobody expects {self._received}"
        return self.process.wait(PATIENCE)

    def _take(self, kind: int, number: int, body: bytes) -> None:
        super()._take(kind, number, body)
        read = plain_of if self.hello.get("payload") == "json" else message_of
        self._received.append({"worker": KINDS[kind], "id": number, **fields_of(kind, body, read)})


def body_of(entry: dict[str, Any]) -> bytes:
    """The body of a frame from the engine."""
    if "body" in entry:
        return bytes.fromhex(entry["body"])
    if entry["engine"] == "DELIVER":
        request = entry.get("request", "request").encode()
        metadata = json.dumps(entry["metadata"]).encode() if "metadata" in entry else b""
        sizes = (entry.get("workflow", 0), len(request), len(metadata))
        head = struct.pack("<BHBH", entry.get("flags", 0), *sizes)
        return head + request + metadata + payload_of(entry)
    if "document" in entry:
        return json.dumps(entry["document"]).encode()
    return entry.get("text", "").encode()


def payload_of(entry: dict[str, Any]) -> bytes:
    """The message or the plain data of an entry."""
    if "json" in entry:
        return json.dumps(entry["json"]).encode()
    packed = AnyMessage()
    if "any" in entry:
        packed.type_url = URL + entry["any"]["type"]
        packed.value = bytes.fromhex(entry["any"]["value"])
    else:
        packed.Pack(StringValue(value=entry["message"]))
    return packed.SerializeToString()


def fields_of(kind: int, body: bytes, read: Read) -> dict[str, Any]:
    """The fields of a frame from the worker, with the names of the conversations."""
    if kind == fake_engine.RESULT:
        return result_of(body, read)
    if kind in (fake_engine.EARLY_REPLY, fake_engine.MESSAGE):
        return read(body)
    if kind == fake_engine.BROKEN:
        return {"text": body.decode()}
    if kind == fake_engine.LOG:
        level, time = struct.unpack_from("<BQ", body)
        return {"level": LEVELS[level], "time": time, "text": body[9:].decode()}
    return json.loads(body)


def result_of(body: bytes, read: Read) -> dict[str, Any]:
    status, flags, start, end = struct.unpack_from("<BBQQ", body)
    name, last = STATUSES[status], body[18:]
    fields: dict[str, Any] = {"status": name, "start": start, "end": end}
    fields.update(early_exit=flags & 1 != 0, whole=flags & 2 != 0)
    if name == "answer":
        fields.update(read(last))
    elif name == "error":
        fields["text"] = last.decode()
    elif name == "too_large":
        fields["size"] = int.from_bytes(last, "little")
    return fields


def message_of(encoded: bytes) -> dict[str, Any]:
    packed, text = AnyMessage.FromString(encoded), StringValue()
    assert packed.type_url.startswith(URL)
    fields: dict[str, Any] = {
        "any": {"type": packed.type_url[len(URL) :], "value": packed.value.hex()}
    }
    if packed.Unpack(text):
        fields["message"] = text.value
    return fields


def plain_of(encoded: bytes) -> dict[str, Any]:
    return {"json": json.loads(encoded)}


def compare(entry: dict[str, Any], heard: dict[str, Any]) -> None:
    """Compares a frame with the entry of a conversation."""
    for key, expected in entry.items():
        if key == "contains":
            for part in expected:
                assert part in heard["text"], heard
        else:
            assert key in heard, heard
            assert exact(heard[key]) == exact(expected), key
    for key in {"time", "start", "end", "pid"} & heard.keys():
        assert type(heard[key]) is int, heard
        assert heard[key] > 0, heard
    assert heard.get("start", 0) <= heard.get("end", 0)


def exact(value: Any) -> Any:
    """Makes numbers in a JSON value equal only to numbers of the same type."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return (type(value).__name__, value)


@pytest.mark.parametrize("file", CONVERSATIONS, ids=lambda file: file.stem)
def test_conversation(file, tmp_path):
    conversation = json.loads(file.read_text())
    handler, init = conversation["handler"], conversation.get("init")
    assert handler in conversation_nodes.HANDLERS
    assert init is None or init in conversation_nodes.INITS
    node = tmp_path / "main.py"
    node.write_text(NODE.format(handler=handler, init=init))
    hello = {**json.loads((PROTOCOL / "hello.json").read_text()), "handler_path": str(node)}
    hello.update(conversation.get("hello", {}))
    player = Player({key: value for key, value in hello.items() if value is not None}, tmp_path)
    try:
        for entry in conversation["frames"]:
            if "worker" in entry:
                compare(entry, player.receive())
            else:
                player.say(entry)
        assert player.end() == conversation["exit"]
        assert conversation.get("stderr", "") in player.stderr()
    finally:
        player.close()


def test_every_name_is_documented_implemented_and_used():
    chapters = (PROTOCOL / "conversations" / "README.md").read_text().split("\n## ")
    conversations = [json.loads(file.read_text()) for file in CONVERSATIONS]
    for title, key, implemented in (
        ("Handlers", "handler", conversation_nodes.HANDLERS),
        ("Inits", "init", conversation_nodes.INITS),
    ):
        [chapter] = [chapter for chapter in chapters if chapter.startswith(title)]
        documented = set(re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE))
        assert documented == set(implemented)
        assert documented == {
            conversation[key] for conversation in conversations if key in conversation
        }
