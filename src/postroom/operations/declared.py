"""What may be declared: the nouns with fields, and the types of credentials, for doors and docs."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from postroom.connections.connection import Connection
from postroom.credentials.intake import Intake
from postroom.credentials.types import TYPES, type_named
from postroom.fields import Described, Fields, describe
from postroom.jobs.job import Job
from postroom.jobs.states import MEANS
from postroom.jobs.step import Step
from postroom.notices.notification import Notify
from postroom.operations.account import Account
from postroom.services.service import Service
from postroom.sinks import SINKS, TWICE, Sink
from postroom.sources.source import Source

__all__ = [
    "about_sink",
    "about_type",
    "by_word",
    "credential_fields",
    "credential_types",
    "fields_called",
    "lacking",
    "needs_description",
    "nouns",
    "parts",
    "run_states",
    "sinks",
]


def nouns() -> Mapping[str, type[Fields]]:
    """The declarations of what commands name: an account, a connection, a source and so on."""
    return {
        "account": Account,
        "connection": Connection,
        "source": Source,
        "service": Service,
        "job": Job,
        "notify": Notify,
    }


def credential_types() -> Mapping[str, type[Fields]]:
    """The declaration of each credential type, by its name."""
    return {kind.type_name: kind for kind in TYPES}


def credential_fields(type_name: str) -> type[Fields]:
    """The declaration of one credential type.  Raises InvalidValue with the nearest name."""
    return type_named(type_name)


def lacking(type_name: str, details: Mapping[str, Any]) -> list[str]:
    """What a new credential would be without, given these details.  Raises what is wrong with them."""
    kind, intake = type_named(type_name), Intake({}, {})
    for name, value in details.items():
        kind.take(intake, name, value)
    return kind.lacks(intake.plain, intake.sealed)


def needs_description(type_name: str) -> bool:
    """Whether a credential of this type is complete only with a description."""
    return type_named(type_name).needs_description


def about_type(type_name: str) -> tuple[str, str]:
    """The label of a credential type, and a sentence about it."""
    kind = type_named(type_name)
    return kind.label, kind.about


def sinks() -> Mapping[str, type[Fields]]:
    """The declaration of each sink, by its type."""
    return _sinks()


def by_word() -> dict[str, type[Fields]]:
    """Every declaration by the word that explains it; of a sink that is called as a noun: ``sink:job``."""
    named = {**nouns(), **credential_types()}
    return named | {
        f"sink:{name}" if name in named else name: kind for name, kind in _sinks().items()
    }


def parts() -> Mapping[str, type[Fields]]:
    """The declarations that are written inside those of nouns and have words of their own."""
    return {"step": Step}


def fields_called(word: str) -> list[tuple[str, Described]]:
    """The fields of nouns and their parts that ``word`` names, or that lie in the group it names.

    Each with the noun or part: ``limits`` gives ``job``'s ``limits.time`` and so on.
    """
    return [
        (name, one)
        for name, model in {**nouns(), **parts()}.items()
        for one in describe(model)
        if word in one.name.split(".")
    ]


def run_states() -> Mapping[str, str]:
    """What each state of a run means, in the order in which runs go through them."""
    return MEANS


def about_sink(type_name: str) -> tuple[str, str, str]:
    """What a sink makes of a message; what taking one twice does, as a word and as a sentence."""
    sink = _sinks()[type_name.removeprefix("sink:")]
    return sink.about, sink.twice, TWICE[sink.twice]


def _sinks() -> dict[str, type[Sink]]:
    return {typing.get_args(sink.model_fields["type"].annotation)[0]: sink for sink in SINKS}
