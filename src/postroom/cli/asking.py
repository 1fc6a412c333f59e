"""What a person is asked for when a credential is made or changed on a terminal."""

from __future__ import annotations

from postroom.cli.flags import Given
from postroom.cli.run import ask, ask_plain, may_ask
from postroom.errors import InvalidValue
from postroom.fields import Described, assign, check_name, describe
from postroom.operations.declared import (
    credential_fields,
    credential_types,
    lacking,
    needs_description,
)

__all__ = [
    "ask_description",
    "ask_for_lacking",
    "ask_for_missing",
    "ask_for_secrets",
    "ask_type",
]


def ask_type() -> str:
    """The type of a new credential.  Raises InvalidValue when nobody says it."""
    types = ", ".join(credential_types())
    answer = ask_plain(f"Type (one of {types})")
    if not answer:
        raise InvalidValue("--type", f"is needed; one of {types}")
    return answer


def ask_description(type: str) -> str:
    """What the record is for; empty when nobody says it."""
    return ask_plain(f"Description (empty: {'later' if needs_description(type) else 'none'})")


def ask_for_missing(given: Given, type: str) -> None:
    """Ask for the fields that were not given and are needed, when somebody is there."""
    if not may_ask() or type == "generic":
        return
    for field in _top_fields(type):
        user = type == "smtp" and field.name == "user_name"
        if not field.sealed and (field.needed or user) and field.name not in given.values:
            answer = ask_plain(field.label + (" (empty: no sign-in)" if user else ""))
            if answer:
                given.values[field.name] = answer
    asked = {one.name for one in _top_fields(type) if one.needed}
    missing = [name for name in lacking(type, given.values) if name not in asked]
    ask_for_lacking(given, type, missing)
    if type != "smtp" or given.values.get("user_name"):
        ask_for_secrets(given, type, "empty: none")


def ask_for_lacking(given: Given, type: str, missing: list[str]) -> None:
    """Ask for what a record is without, but for whatever is asked for with the secrets."""
    if not may_ask():
        return
    fields = {one.name: one for one in _top_fields(type)}
    for name in missing:
        field = fields.get(name)
        if field is None and "." in name:  # client_secrets.2026a.value
            secret = ask(f"{name} (empty: none)")
            if secret:
                assign(given.values, name, secret)
        elif field is not None and not field.sealed and field.type != "map":
            answer = "" if name == "certificate" else ask_plain(field.label)  # PEM is not typed
            if answer:
                given.values[name] = answer


def _ask_for_entry(given: Given, field: Described, if_empty: str) -> None:
    """Of a map by label: a label, then the secret under it."""
    label = ask_plain(f"{field.label}: label of one, such as 2026a ({if_empty})")
    if not label:
        return
    try:
        check_name(label)
    except ValueError as error:
        raise InvalidValue(field.name, f"the label {error}") from None
    secret = ask(f"{field.label}: value of {label}")
    if secret:
        given.values[field.name] = {label: {"value": secret}}


def ask_for_secrets(given: Given, type: str, if_empty: str) -> None:
    """Ask for the secrets that were not given, when somebody is there."""
    if not may_ask():
        return
    for field in _top_fields(type):
        wanted = field.needed or type in ("password", "smtp", "secret")
        if field.sealed and wanted and field.name not in given.values:
            answer = ask(f"{field.label} ({if_empty})")
            if answer:
                given.values[field.name] = answer
        by_label = field.type == "map" and type != "generic"
        if by_label and not {field.name, "private_key"} & given.values.keys():
            _ask_for_entry(given, field, if_empty)


def _top_fields(type: str) -> list[Described]:
    return [one for one in describe(credential_fields(type)) if "." not in one.name]
