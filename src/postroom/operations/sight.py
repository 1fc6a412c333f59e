"""What is not there for whoever asks: what rests on a restricted credential that is not granted them.

A connection, source, service or job is there for somebody if every restricted credential that it rests
on is granted to them, or, of a service and a job, to itself.  Rows are asked about where they are found
by name (db/named.py, credentials/record.py), so that no operation has to think of it.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from postroom.access import Person
from postroom.access.grants import granted_to, hidden_from
from postroom.errors import PostroomError, Refused

if TYPE_CHECKING:
    from postroom.connections.resolver import Resolver
    from postroom.db import Database, Row, Sight, Tx

__all__ = [
    "NOBODY",
    "NamedSight",
    "check_may_change",
    "check_sees_all",
    "grantee_of",
    "hidden_credentials",
    "hidden_services",
    "making",
    "not_told",
    "seen_by",
    "sees",
    "sees_named",
]

T = TypeVar("T")
NOBODY: Final = "user:"
"""Whoever has no grant."""


def grantee_of(person: Person) -> str:
    """Who a person is among those who have grants; empty for whoever needs none."""
    return "" if person.unrestricted else f"user:{person.user}"


def seen_by(db: Database, grantee: str, environ: Mapping[str, str]) -> Database:
    """The database as somebody sees it: their bodies find what is there for them."""
    return cast("Database", _Seen(db, grantee, environ))


class _Seen:
    """A database whose bodies ask for somebody."""

    def __init__(self, db: Database, grantee: str, environ: Mapping[str, str]) -> None:
        self._db = db
        self._grantee = grantee
        self._environ = environ

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def write(self, body: Callable[[Tx], T]) -> T:
        """As of the database."""
        return await self._db.write(functools.partial(self._asked, body))

    async def read(self, body: Callable[[Tx], T]) -> T:
        """As of the database."""
        return await self._db.read(functools.partial(self._asked, body))

    def read_now(self, body: Callable[[Tx], T]) -> T:
        """As of the database."""
        return self._db.read_now(functools.partial(self._asked, body))

    def _asked(self, body: Callable[[Tx], T], tx: Tx) -> T:
        with tx.seen_by(NamedSight(self._grantee, self._environ)):
            return body(tx)


class NamedSight:
    """The sight of a person (``user:ID``) or a job (``job:NAME``) in one transaction."""

    def __init__(self, grantee: str, environ: Mapping[str, str]) -> None:
        self._grantee = grantee
        self._environ = environ
        self._hidden: frozenset[str] | None = None
        self._making: tuple[str, str] | None = None

    @contextlib.contextmanager
    def making(self, noun: str, name: str) -> Iterator[None]:
        """While they save that one it is there for them, so that what it names is what is not there."""
        self._making = (noun, name.casefold())
        try:
            yield
        finally:
            self._making = None

    def hidden(self, tx: Tx) -> frozenset[str]:
        """The credentials, by lower-case name, that are not there for them."""
        if self._hidden is None:
            self._hidden = hidden_from(tx, self._grantee)
        return self._hidden

    def hides(self, tx: Tx, noun: str, row: Row) -> bool:
        """Whether a row of that noun is not there for them."""
        hidden = self.hidden(tx)
        if not hidden:
            return False
        if noun == "credential":
            return row["name"].lower() in hidden
        if self._making == (noun, row["name"].casefold()):
            return False
        with tx.seen_by(None):
            return bool(self.under(tx, noun, row["name"], row["body"]) & hidden)

    def ungranted(self, tx: Tx, noun: str, name: str, body: str) -> frozenset[str]:
        """The credentials, by lower-case name, that are hidden from them and that a service or a job
        rests on, whether or not they are granted to it."""
        hidden = self.hidden(tx)
        return self._under(tx, noun, name, body) & hidden if hidden else frozenset()

    def under(self, tx: Tx, noun: str, name: str, body: str) -> frozenset[str]:
        """The credentials that something rests on and that are not granted to itself."""
        found = self._under(tx, noun, name, body)
        if found and noun in ("service", "job"):
            found -= granted_to(tx, f"{noun}:{name}")
        return found

    def _under(self, tx: Tx, noun: str, name: str, body: str) -> frozenset[str]:
        if noun == "connection":
            return _of_connection(self._resolver(tx), tx, name)
        if noun in ("source", "service"):
            return self._over(tx, str(_said(body).get("connection", "")))
        if noun == "notification":
            return self._of_notification(tx, _said(body))
        return self._of_job(tx, name, body) if noun == "job" else frozenset()

    def _over(self, tx: Tx, via: str) -> frozenset[str]:
        """What is under ``acme``, ``connection:acme/box`` or ``credential:mailer``."""

        noun, name = _named_in(via)
        if noun == "credential":
            return frozenset({name.lower()})
        return _of_connection(self._resolver(tx), tx, name)

    def _of_job(self, tx: Tx, name: str, body: str) -> frozenset[str]:
        from postroom.connections.scope import expander
        from postroom.fields import parse
        from postroom.jobs.checks import names_used
        from postroom.jobs.job import Job

        try:
            job = parse(Job, {**_said(body), "name": name})
            used = names_used(job.steps, expand=expander(tx, self._environ))
        except PostroomError:  # it does nothing as it is; and nobody knows what it would do
            return self.hidden(tx)
        found = {each.lower() for each in job.credentials}
        for each in used:
            noun, bare = _named_in(each.name)
            for kind in (noun,) if noun else ("connection", "service", "credential"):
                found |= self._named(tx, kind, bare)
        return frozenset(found)

    def _of_notification(self, tx: Tx, said: Mapping[str, Any]) -> frozenset[str]:
        found = {str(said.get(each, "")).lower() for each in ("credential", "signing", "trust")}
        if service := str(said.get("service", "")):
            noun, bare = _named_in(service)
            found |= self._named(tx, noun or "service", bare)
        return frozenset(found - {""})

    def _named(self, tx: Tx, noun: str, name: str) -> frozenset[str]:
        from postroom.services import service as services

        if noun == "credential":
            return frozenset({name.lower()})
        if noun == "connection":
            return _of_connection(self._resolver(tx), tx, name)
        service = services.find(tx, name)
        if service is None:
            return frozenset()
        return self._over(tx, service.connection) - granted_to(tx, f"service:{service.name}")

    def _resolver(self, tx: Tx) -> Resolver:
        from postroom.connections.resolver import Resolver
        from postroom.connections.scope import expander
        from postroom.credentials.trust import trusted_in

        return Resolver(tx, expand=expander(tx, self._environ), trusted=trusted_in(tx))


def sees_named(tx: Tx, noun: str, name: str) -> bool:
    """Whether what a notice is about is there for whoever asks; what is gone, or no definition, is."""
    if noun == "service":
        return sees(tx, name)
    if noun in ("connection", "credential"):
        return sees(tx, f"{noun}:{name}")
    if tx.sight is None or noun not in ("source", "job", "notification"):
        return True
    from postroom.jobs import store as jobs
    from postroom.notices import store as notifications
    from postroom.sources import store as sources

    stores = {"source": sources, "job": jobs, "notification": notifications}
    there = functools.partial(stores[noun].row_of, tx, name)
    with tx.seen_by(None):
        if not _is_there(there):
            return True
    return _is_there(there)


def sees(tx: Tx, via: str) -> bool:
    """Whether the service of an outbox row, ``orders``, ``connection:acme`` or ``credential:mailer``, is
    there for whoever asks; one that was deleted is."""
    from postroom.connections import store as connections
    from postroom.credentials.record import find
    from postroom.services import service as services

    if tx.sight is None:
        return True
    noun, name = _named_in(via)
    there: Callable[[], object]
    if noun == "credential":
        there = functools.partial(find, tx, name)
    elif noun == "connection":
        there = functools.partial(connections.get, tx, name)
    else:
        there = functools.partial(services.get, tx, name)
    with tx.seen_by(None):
        if not _is_there(there):
            return True
    return _is_there(there)


def making(tx: Tx, noun: str, name: str) -> contextlib.AbstractContextManager[None]:
    """While a definition is saved: what it names and is not there is told as what does not exist."""
    sight = tx.sight
    return sight.making(noun, name) if isinstance(sight, NamedSight) else contextlib.nullcontext()


def hidden_credentials(tx: Tx) -> frozenset[str]:
    """The credentials, by lower-case name, that are not there for whoever asks."""
    sight = tx.sight
    return sight.hidden(tx) if isinstance(sight, NamedSight) else frozenset()


def hidden_services(tx: Tx) -> list[str]:
    """The services, as rows of the outbox carry them, that are not there for whoever asks."""
    sight = tx.sight
    if not isinstance(sight, NamedSight) or not sight.hidden(tx):
        return []
    from postroom.services import finding

    return [name for name in finding.names(tx) if not sees(tx, name)]


@contextlib.contextmanager
def not_told(tx: Tx, sight: Sight | None) -> Iterator[None]:
    """What is refused for the sake of a credential that is hidden from somebody does not name it."""
    try:
        yield
    except Refused as error:
        name = error.facts.get("credential")
        if sight is None or not isinstance(name, str):
            raise
        from postroom.credentials.record import find

        with tx.seen_by(sight):
            if _is_there(functools.partial(find, tx, name)):
                raise
        raise Refused(
            "Something that is not there for you rests on this, and would sign in elsewhere; nothing was "
            "saved.",
            code="not_permitted",
            hint="Ask an administrator to make this change.",
        ) from None


def check_may_change(tx: Tx, noun: str, row: Row) -> None:
    """Raise Refused for a change of a service or job that has a grant which who asks has not: it would
    do as they say with what is not theirs."""
    sight = tx.sight
    if not isinstance(sight, NamedSight):
        return
    with tx.seen_by(None):
        if sight.ungranted(tx, noun, row["name"], row["body"]):
            raise Refused(
                f"{noun.capitalize()} {row['name']} is granted a credential that is not there for you: you "
                "may use it, and not change it.",
                code="not_permitted",
                hint="Ask an administrator for a grant of your own.",
            )


def check_sees_all(tx: Tx) -> None:
    """Raise Refused where something is not there for whoever asks for what goes through everything."""
    if isinstance(tx.sight, NamedSight) and tx.sight.hidden(tx):
        raise Refused(
            "That goes through the whole room, and some of it is not there for you.",
            code="not_permitted",
            hint="Ask an administrator to do it.",
        )


def _named_in(via: str) -> tuple[str, str]:
    """Noun, or nothing, and name of ``acme``, ``connection:acme/box`` or ``credential:mailer``."""
    from postroom.connections.boxed import parted

    noun, _, name = parted(via)[0].rpartition(":")
    return noun, name


def _is_there(ask: Callable[[], object]) -> bool:
    from postroom.errors import NotThere

    try:
        ask()
    except NotThere:
        return False
    except PostroomError:  # it is there, and cannot be read
        return True
    return True


def _of_connection(resolver: Resolver, tx: Tx, name: str) -> frozenset[str]:
    """The credentials that a connection presents, trusts or shows; of a broken one, those it names."""
    try:
        found: set[str] = set()
        for side in resolver.effective(f"connection:{name}").sides:
            found |= {side.auth.credential, side.trust, side.client_certificate, *side.presents}
            if side.grant is not None:
                found.add(side.grant.credential)
        return frozenset(each.lower() for each in found if each)
    except PostroomError:
        return frozenset(_named_by(tx, name))


def _named_by(tx: Tx, name: str) -> set[str]:
    """The credentials that a connection and those above it name, as they are written."""
    from postroom.connections import store as connections

    found: set[str] = set()
    above, seen = name, set()
    named = connections.credentials_named(tx)
    while above and above.casefold() not in seen:
        seen.add(above.casefold())
        found |= {key for key, by in named if by.name.casefold() == above.casefold()}
        try:
            above = connections.get(tx, above).extends
        except PostroomError:
            break
    return found


def _said(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
