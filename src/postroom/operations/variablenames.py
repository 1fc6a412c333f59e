"""Where variables of the room are named beside connections: in sources, services and jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from postroom import macros
from postroom.db import Tx
from postroom.errors import InvalidValue, PostroomError
from postroom.jobs import store as jobs
from postroom.jobs.checks import settings_used
from postroom.services import service as services
from postroom.sources import store as sources

__all__ = ["Named", "beside_connections", "variables_in"]


class Named(NamedTuple):
    """A place of a definition, ``("job", "nightly", "command.words.2")``, and the variables in it."""

    noun: str
    name: str
    place: str
    variables: set[str]


def variables_in(text: str) -> set[str]:
    """The variables that a text names; none where it cannot be read: it expands to nothing."""
    try:
        return {one.name for one in macros.names(text) if one.prefix == "var"}
    except InvalidValue:  # saved before a rule changed
        return set()


def beside_connections(tx: Tx) -> Iterator[Named]:
    """Every setting of sources, services and jobs in which a macro may stand."""
    for source in sources.load_all(tx):
        texts = {f"folders.{key}": text for key, text in source.folders}
        texts |= {"sink.path": source.sink.place, "name_template": source.name_template}
        for place, text in texts.items():
            yield Named("source", source.name, place, variables_in(text))
    for service in services.load_all(tx):
        yield Named("service", service.name, "from", variables_in(service.from_))
    for job in jobs.load_all(tx):
        try:
            used = settings_used(job)
        except PostroomError:  # saved before a rule changed: it does nothing
            continue
        for place, references in used.items():
            named = {one.name for one in references if one.prefix == "var"}
            yield Named("job", job.name, place, named)
