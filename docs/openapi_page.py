"""The REST API as a page in Markdown, from the description that servers give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_VERBS = ("get", "post", "put", "patch", "delete")


def page(document: Mapping[str, Any]) -> str:
    """Return the routes, and then the values that they take and give."""
    routes = [
        line
        for path, item in document["paths"].items()
        for verb in _VERBS
        if verb in item
        for line in _route(f"{verb.upper()} {path}", item[verb], item.get("parameters", ()))
    ]
    schemas = document["components"]["schemas"]
    values = [line for name, schema in schemas.items() for line in _value(name, schema)]
    return "\n".join([*routes, "## Values", "", *values])


def _route(title: str, operation: Mapping[str, Any], shared: Any) -> Iterator[str]:
    yield from (f"## `{title}`", "", operation["summary"], "")
    if "description" in operation:
        yield from (operation["description"], "")
    for given in (*shared, *operation.get("parameters", ())):
        if "$ref" not in given:
            said = given.get("description", "")
            yield f"- `{given['name']}` ({_kind(given['schema'])}, {given['in']}): {said}"
    if "requestBody" in operation:
        yield f"- takes {_content(operation['requestBody'])}"
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            yield f"- {status}: `{_last(answer['$ref'])}`"
        else:
            content = f", {_content(answer)}" if "content" in answer else ""
            yield f"- {status}: {answer['description'].strip()}{content}"
    yield f"- asks the authorizer for `{operation.get('x-action', 'read')}`"
    yield ""


def _value(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### `{name}`", "")
    if "description" in schema:
        yield from (schema["description"], "")
    if "properties" not in schema:
        yield from (_kind(schema), "")
        return
    yield from ("| | | |", "| --- | --- | --- |")
    for key, inner in schema["properties"].items():
        said = " ".join(inner.get("description", "").split())
        mark = "" if key in schema.get("required", ()) else ", optional"
        yield f"| `{key}` | {_kind(inner)}{mark} | {said} |"
    yield ""


def _content(holder: Mapping[str, Any]) -> str:
    kinds = (_kind(content.get("schema", {})) for content in holder["content"].values())
    return " or ".join(kinds)


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{_last(schema['$ref'])}`"
    for word in ("oneOf", "anyOf", "allOf"):
        if word in schema:
            return " or ".join(_kind(each) for each in schema[word])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
