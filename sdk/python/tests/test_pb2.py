"""`*_pb2` modules: made where they are missing, rescued where they do not load."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

GENERATED = Path(__file__).parent / "generated"
AGES = sorted(folder.name for folder in GENERATED.glob("protoc-*"))
DESCRIPTORS = base64.b64encode((GENERATED / "package.binpb").read_bytes()).decode()

# Uses everything that a generated module offers, and says what it saw.
EXERCISE = """
    import json
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.wrappers_pb2 import StringValue
    import public_input_pb2
    from public_input_pb2 import Request, Response
    from protos import house_model_pb2
    import protos.house_model_pb2 as again

    async def handler(ctx, data):
        request = Request(price_category="high")
        request.asked_at.seconds = 5
        room = request.house.rooms.add(square_meters=3, label="attic")
        request.house.kind = house_model_pb2.VILLA
        request = Request.FromString(request.SerializeToString())
        response = Response(verdict=Response.CHEAP, prices={"a": 1.5}, code=7)
        return StringValue(value=json.dumps({
            "request": MessageToDict(request),
            "response": MessageToDict(response),
            "oneof": response.WhichOneof("reason"),
            "same": again.House is house_model_pb2.House,
            "file": public_input_pb2.DESCRIPTOR.name,
            "kinds": house_model_pb2.Kind.items(),
            "modules": [Request.__module__, house_model_pb2.House.Room.__module__],
        }))
"""
SEEN = {
    "request": {
        "priceCategory": "high",
        "house": {"rooms": [{"squareMeters": 3, "name": "attic"}], "kind": "VILLA"},
        "askedAt": "1970-01-01T00:00:05Z",
    },
    "response": {"verdict": "CHEAP", "prices": {"a": 1.5}, "code": "7"},
    "oneof": "code",
    "same": True,
    "file": "public_input.proto",
    "kinds": [["FLAT", 0], ["VILLA", 1]],
    "modules": ["public_input_pb2", "protos.house_model_pb2"],
}


def put(age: str, folder: Path, *names: str) -> None:
    """Lays modules of a generator beside the handler."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(GENERATED / age / name, folder / name)


def seen_by(engine):
    seen = json.loads(engine.ask("").text)
    assert engine.stop() == 0
    return seen


def test_missing_modules_are_made(serve):
    assert seen_by(serve(EXERCISE, descriptors=DESCRIPTORS)) == SEEN


@pytest.mark.parametrize("age", AGES)
def test_generated_modules_of_any_age_work_without_the_engines_descriptors(serve, tmp_path, age):
    put(age, tmp_path, "public_input_pb2.py", "protos/house_model_pb2.py")
    assert seen_by(serve(EXERCISE)) == SEEN


@pytest.mark.parametrize("age", AGES)
def test_one_module_on_disk_and_one_made_do_not_clash(serve, tmp_path, age):
    put(age, tmp_path, "public_input_pb2.py")
    assert seen_by(serve(EXERCISE, descriptors=DESCRIPTORS)) == SEEN


@pytest.mark.parametrize("age", AGES)
def test_a_made_module_takes_its_import_from_disk(serve, tmp_path, age):
    put(age, tmp_path, "protos/house_model_pb2.py")
    assert seen_by(serve(EXERCISE, descriptors=DESCRIPTORS)) == SEEN


@pytest.mark.parametrize("age", AGES)
def test_the_same_file_is_loaded_from_disk_after_it_was_made(serve, tmp_path, age):
    put(age, tmp_path / "later", "public_input_pb2.py", "protos/house_model_pb2.py")
    code = """
        import sys
        import public_input_pb2 as made
        del sys.modules["public_input_pb2"], sys.modules["protos"]
        del sys.modules["protos.house_model_pb2"]
        sys.path.append("later")
    """
    import textwrap

    code = textwrap.dedent(code) + textwrap.dedent(EXERCISE)
    assert seen_by(serve(code, descriptors=DESCRIPTORS)) == SEEN
