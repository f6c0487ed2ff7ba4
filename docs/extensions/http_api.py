"""The page of the HTTP API, made from the OpenAPI document that the server serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")


def render(text: str) -> str:
    """Returns the operations and schemas of an OpenAPI document as Markdown."""
    return "\n".join(_lines(json.loads(text))) + "\n"


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield document["info"]["description"]
    yield "\n## Operations"
    tags: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                lines = _operation(document, path, method, item)
                tags.setdefault(item[method]["tags"][0], []).extend(lines)
    for tag, lines in tags.items():
        yield f"\n### {tag.capitalize()}\n"
        yield from lines
    yield "\n## Schemas"
    for name, schema in document["components"]["schemas"].items():
        yield f"\n({_anchor(name)})=\n### `{name}`\n"
        yield from _schema(schema)


def _operation(
    document: dict[str, Any], path: str, method: str, item: dict[str, Any]
) -> Iterator[str]:
    operation = item[method]
    base = document["servers"][0]["url"]
    yield f"\n#### {operation['summary']}\n"
    yield f"```text\n{method.upper()} {base}{path}\n```\n"
    if "description" in operation:
        yield f"{operation['description']}\n"
    role = operation.get("x-krt-role")
    yield f"Needs the role `{role}`.\n" if role not in (None, "none") else "Needs no sign-in.\n"
    parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
    if parameters:
        yield "| parameter | in | type | meaning |\n| --- | --- | --- | --- |"
        for one in parameters:
            required = "" if one.get("required") else ", optional"
            meaning = one.get("description", "")
            kind = _kind(one["schema"])
            yield f"| `{one['name']}` | {one['in']}{required} | {kind} | {_cell(meaning)} |"
        yield ""
    body = operation.get("requestBody")
    if body:
        for media, content in body["content"].items():
            optional = "" if body.get("required") else " It may be left out."
            yield f"Body: `{media}`, {_kind(content['schema'])}.{optional}\n"
    yield "| status | answer |\n| --- | --- |"
    for status, response in operation["responses"].items():
        yield f"| {status} | {_response(document, response)} |"
    yield ""


def _response(document: dict[str, Any], response: dict[str, Any]) -> str:
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    kinds = [
        f"`{media}`, {_kind(content['schema'])}"
        for media, content in response.get("content", {}).items()
    ]
    return _cell(" ".join([response["description"], *kinds]))


def _schema(schema: dict[str, Any]) -> Iterator[str]:
    if "description" in schema:
        yield f"{schema['description']}\n"
    properties = schema.get("properties")
    if not properties:
        yield f"{_kind(schema).capitalize()}.\n"
        return
    required = schema.get("required", [])
    yield "| field | type | meaning |\n| --- | --- | --- |"
    for name, one in properties.items():
        optional = "" if name in required else ", optional"
        yield f"| `{name}` | {_kind(one)}{optional} | {_cell(_meaning(one))} |"


def _meaning(schema: dict[str, Any]) -> str:
    """Returns the description of a field; that of one that may be null is beside its type."""
    beside = (one.get("description", "") for one in schema.get("oneOf", []))
    return schema.get("description") or next(filter(None, beside), "")


def _kind(schema: dict[str, Any] | bool) -> str:
    if isinstance(schema, bool):
        return "any value"
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[`{name}`](#{_anchor(name)})"
    for union in ("oneOf", "anyOf", "allOf"):
        if union in schema:
            return " or ".join(_kind(one) for one in schema[union])
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kinds = schema.get("type", "any value")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    text = " or ".join(_array(schema) if kind == "array" else kind for kind in kinds)
    return text + _bounds(schema)


def _array(schema: dict[str, Any]) -> str:
    return f"array of {_kind(schema['items'])}" if "items" in schema else "array"


def _bounds(schema: dict[str, Any]) -> str:
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "maxLength": "characters, at most",
        "maxItems": "items, at most",
        "default": "default",
    }
    said = [f"{text} {schema[key]}" for key, text in words.items() if key in schema]
    return f" ({', '.join(said)})" if said else ""


def _anchor(name: str) -> str:
    return f"schema-{name.lower()}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
