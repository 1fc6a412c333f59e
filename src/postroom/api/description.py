"""The OpenAPI document (3.1): every door with what it takes and gives, from the same declarations."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from postroom.api.reading import Reader
from postroom.api.routes import makes, shown_above, shows, takes_key
from postroom.errors import CODES
from postroom.fields import Fields
from postroom.operations.asking import Asked, Parameter, declared_choices
from postroom.operations.documents import parts_of
from postroom.operations.shapes import PROBLEM, REF, declared_shape, document_shape

__all__ = ["description"]

_TITLES: Final = {
    "400": "Not understood.", "401": "Nobody is signed in.", "403": "May not.",
    "404": "Not there.", "406": "Only as a stream.", "409": "Refused.",
    "412": "Changed since.", "413": "Too large.", "415": "Not JSON.", "422": "A value is wrong.",
    "429": "Too many.", "500": "A mistake of ours.", "502": "The other side, or the way there.",
    "503": "The room cannot be used.", "504": "The other side did not answer in time.",
    "507": "The room is full.",
}  # fmt: skip
_KEY: Final = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "The same request again under the same key is answered the same, for a day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}  # fmt: skip
_MATCH: Final = {
    "name": "If-Match", "in": "header", "required": False,
    "description": "The ETag of what was looked at: 412 where it was changed since.",
    "schema": {"type": "string"},
}  # fmt: skip


def description(asked: Mapping[Any, Asked]) -> dict[str, Any]:
    """The whole document."""
    shapes: dict[str, dict[str, Any]] = {"Problem": PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for one in asked.values():
        paths.setdefault(one.door.path, {})[one.door.http.lower()] = _operation(one, asked, shapes)
    paths["/events"] = {"get": _events()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postroom",
            "version": version("postroom"),
            "description": "Working email for applications and jobs, and a password for nobody.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": shapes,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Asked, asked: Mapping[Any, Asked], shapes: dict[str, Any]) -> dict[str, Any]:
    door = one.door
    about, _, more = one.about.partition("\n\n")
    told: dict[str, Any] = {
        "operationId": f"{door.noun}_{door.method}",
        "tags": [door.noun],
        "summary": about.replace("\n", " ").replace("``", "`"),
        "description": more.replace("``", "`"),
        "x-right": door.right,
        "parameters": [*_parameters(one, shapes), *_headers(one, asked)],
        "responses": _responses(one, shapes),
    }
    if door.http not in ("GET", "DELETE"):
        shapes[f"{one.title}In"] = body = _body(one, shapes)
        told["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {"application/json": {"schema": {"$ref": f"{REF}{one.title}In"}}},
        }
    return told


def _headers(one: Asked, asked: Mapping[Any, Asked]) -> list[dict[str, Any]]:
    found = [_KEY] if takes_key(one.door) else []
    has_tag = shown_above(one.door, asked.values()) is not None
    return [*found, _MATCH] if has_tag else found


# ---------------------------------------------------------------------------- in


def _parameters(one: Asked, shapes: dict[str, Any]) -> list[dict[str, Any]]:
    schema = declared_shape(Reader(one).query, shapes, mode="validation")
    return [
        {
            "name": each.wire,
            "in": each.place,
            "required": each.place == "path" or each.needed,
            "schema": _in_address(schema["properties"][each.wire], each),
        }
        for each in one.parameters
        if each.place in ("path", "query")
    ]


def _in_address(schema: dict[str, Any], each: Parameter) -> dict[str, Any]:
    """In an address nothing is null: it is not there."""
    some = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    found = {**some[0]} if len(some) == 1 else {k: v for k, v in schema.items() if k != "title"}
    if each.place == "path" and found.get("type") == "string":
        found["minLength"] = 1
    return found


def _body(one: Asked, shapes: dict[str, Any]) -> dict[str, Any]:
    body = declared_shape(Reader(one).model, shapes, mode="validation")
    body.pop("title", None)
    body.setdefault("properties", {})
    for each in one.parameters:
        choices = declared_choices(one.door.noun, each)
        if each.place == "fields" and choices:
            _flatten(body, _declared(choices[0], shapes), changing="{name}" in one.door.path)
        elif choices and each.wire in body["properties"]:
            fields = [_loose(_declared(kind, shapes)) for kind in choices]
            body["properties"][each.wire] = {"anyOf": [*fields, {"type": "object"}]}
    return body


def _flatten(body: dict[str, Any], declared: dict[str, Any], *, changing: bool) -> None:
    """Put the fields of a declaration into the body; of a change none is needed, and null clears."""
    if changing:
        declared = _loose(declared)
        declared["properties"].pop("name", None)
    body["properties"] = {**declared["properties"], **body["properties"]}
    body["required"] = [*declared.get("required", ()), *body.get("required", ())]
    if changing:
        body["additionalProperties"] = False


def _loose(schema: dict[str, Any]) -> dict[str, Any]:
    """The same fields, none of them needed, and null for one that is taken away."""
    found = {key: each for key, each in schema.items() if key not in ("required", "title")}
    found["properties"] = {
        name: {"anyOf": [{k: v for k, v in each.items() if k != "default"}, {"type": "null"}]}
        for name, each in schema.get("properties", {}).items()
    }
    return found


def _declared(kind: type[Fields], shapes: dict[str, Any]) -> dict[str, Any]:
    return declared_shape(kind, shapes, mode="validation", called=f"{kind.__name__}{{model}}In")


# ---------------------------------------------------------------------------- out


def _responses(one: Asked, shapes: dict[str, Any]) -> dict[str, Any]:
    door = one.door
    problems = {
        str(code.http) for code in CODES.values()
    } - ({"406", "415"} if door.http in ("GET", "DELETE") else set())  # fmt: skip
    found = {status: _problem(status) for status in sorted(problems)}
    if one.returns is type(None):
        return {"204": {"description": "Done."}, **found}
    if bytes in parts_of(one.returns):
        media = {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}
        return {"200": {"description": "The exact bytes.", "content": media}, **found}
    shapes[f"{one.title}Out"] = document_shape(one.returns, shapes, paged=one.pages)
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": f"{REF}{one.title}Out"}}}
    if one.tells or (door.noun, door.method) == ("runs", "log"):
        content["text/event-stream"] = {"schema": {"type": "string"}}
    answer: dict[str, Any] = {"description": "What it gives.", "content": content}
    if shows(door):
        answer["headers"] = {"ETag": {"schema": {"type": "string"}}}
    return {"201" if makes(door) else "200": answer, **found}


def _problem(status: str) -> dict[str, Any]:
    return {
        "description": _TITLES.get(status, "A problem."),
        "content": {"application/problem+json": {"schema": {"$ref": f"{REF}Problem"}}},
    }


def _events() -> dict[str, Any]:
    return {
        "operationId": "events",
        "tags": ["events"],
        "summary": "What sources, services, sign-ins, runs and the outbox are doing, as it changes.",
        "x-right": "view",
        "parameters": [
            {
                "name": "of",
                "in": "query",
                "required": False,
                "schema": {
                    "type": "array",
                    "items": {"enum": ["sources", "services", "sign-ins", "runs", "outbox"]},
                },
            }
        ],
        "responses": {
            "200": {
                "description": "Events, until somebody goes.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **{status: _problem(status) for status in ("401", "403", "422", "429")},
        },
    }
