"""Holds answers against the OpenAPI document: its models, closed, so that no name is in an answer alone."""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any

import jsonschema_rs
import pytest

from postroom.api.description import description
from postroom.app import NOUNS
from postroom.library import wire
from postroom.operations.asking import Asked, all_asked
from postroom.operations.documents import read_document
from postroom.operations.shapes import REF

__all__ = ["answer_of", "described", "hearing", "open_places", "wrong_with"]


@functools.cache
def asked() -> dict[tuple[str, str], Asked]:
    """Every door."""
    return all_asked(NOUNS)


@functools.cache
def described() -> dict[str, Any]:
    """The document."""
    return description(asked())


def answer_of(one: Asked) -> dict[str, Any] | None:
    """The model of a door's success, as the document refers to it; None for what answers no JSON."""
    responses = described()["paths"][one.door.path][one.door.http.lower()]["responses"]
    answer = responses.get("200") or responses.get("201") or {}
    model: dict[str, Any] | None = (
        answer.get("content", {}).get("application/json", {}).get("schema")
    )
    return model


@functools.cache
def _validator(ref: str) -> Any:
    schemas = _reached(ref, {})
    return jsonschema_rs.validator_for(
        {"$ref": ref, "components": {"schemas": schemas}}, validate_formats=True
    )


def _reached(part: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The models that a reference leads to: closed, so that an object has no name that its model lacks."""
    if isinstance(part, str) and part.startswith(REF) and part.removeprefix(REF) not in found:
        name = part.removeprefix(REF)
        found[name] = {}  # it may have itself inside
        found[name] = _closed(described()["components"]["schemas"][name])
        _reached(found[name], found)
    elif isinstance(part, dict):
        for each in part.values():
            _reached(each, found)
    elif isinstance(part, list):
        for each in part:
            _reached(each, found)
    return found


def _closed(schema: Any) -> Any:
    if isinstance(schema, dict):
        named = schema.get("type") == "object" and "properties" in schema
        ends = {"additionalProperties": False} if named else {}
        return {**ends, **{key: _closed(each) for key, each in schema.items()}}
    return [_closed(each) for each in schema] if isinstance(schema, list) else schema


def wrong_with(one: Asked, document: Any) -> list[str]:
    """Where an answer is not what the document says of it."""
    model = answer_of(one)
    if model is None:
        return [f"{one.title}: it answers no JSON"]
    return [
        f"{one.title} {error.instance_path}: {error.message[:300]}"
        for error in _validator(model["$ref"]).iter_errors(document)
    ]


def open_places(schema: Any, at: str) -> list[str]:
    """Where a model says nothing of what is there: an object of any names, any value."""
    if not isinstance(schema, dict):
        return []
    found = [at] if _is_open(schema) else []
    for name, each in schema.get("properties", {}).items():
        found += open_places(each, f"{at}.{name}")
    for key in ("items", "additionalProperties"):
        found += open_places(schema.get(key), at)
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found += open_places(each, at)
    return found


def _is_open(schema: dict[str, Any]) -> bool:
    if not schema.keys() - {"description", "title"}:
        return True
    nothing = not schema.get("properties") and "additionalProperties" not in schema
    return schema.get("additionalProperties") is True or (
        schema.get("type") == "object" and nothing
    )


def hearing(monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], list[str]]:
    """What is answered to this process as the library of a served room, held against the document: the
    doors that were heard, and what was wrong."""
    heard: set[str] = set()
    wrong: list[str] = []
    request = wire.Wire.ask
    current: ContextVar[Asked] = ContextVar("current")

    async def ask(self: wire.Wire, one: Asked, given: Any) -> Any:
        current.set(one)
        return await request(self, one, given)

    def read(annotation: Any, document: Any) -> Any:
        door = current.get().door
        heard.add(f"{door.noun}.{door.method}")
        wrong.extend(wrong_with(current.get(), document))
        return read_document(annotation, document)

    monkeypatch.setattr(wire.Wire, "ask", ask)
    monkeypatch.setattr("postroom.library.wire.read_document", read)
    return heard, wrong
