"""Operations on API tokens: make one, which is shown once; list them; revoke."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from postroom.access import VERBS, Person, users
from postroom.access import tokens as store
from postroom.clock import parse_duration, rfc3339, timestamp
from postroom.db import Row, Tx
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.fields import check_name, nearest
from postroom.operations.desk import Desk
from postroom.operations.gate import check_may
from postroom.operations.users import check_not_above

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Tokens"]

_LONGEST: Final = 366 * 86400.0
_LEAST: Final = 60.0


class Tokens:
    """What a person may do with their API tokens, and whoever sees to people with everybody's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self, user: str | None = None) -> builtins.list[models.Token]:
        """Tokens, the newest first: whose, which rights, until when, ``state`` (``good``, ``revoked``,
        ``expired``, ``disabled``), when one was last used, to the minute.

        One's own; with the right ``users`` everybody's, or those of ``user``.
        """
        person = self._desk.person

        def body(tx: Tx) -> builtins.list[Row]:
            if person.unrestricted:
                return store.find_all(tx, None if user is None else users.find(tx, user)["id"])
            if user is not None and not _is_own(tx, person, user):
                check_may(person, "users")  # before anybody is told who there is
            return store.find_all(tx, person.user)

        return [_shown(row) for row in await self._desk.db.read(body)]

    async def add(
        self,
        name: str,
        *,
        verbs: Collection[str] | None = None,
        expires_in: str = "90d",
        user: str | None = None,
    ) -> models.NewToken:
        """Make a token; the answer has it as ``token``, and nothing has it ever after.

        ``verbs`` are the rights it has, of those of its user; None: all of them.  ``expires_in`` is a
        duration up to 366d.  ``user`` is whose it is: one's own, unless one has the right ``users``.
        With a token itself that right is wanted, and the new one ends no later.  Raises InvalidValue,
        NotThere, Refused (``not_permitted``).
        """
        try:
            check_name(name)
        except ValueError as error:
            raise InvalidValue("name", str(error)) from None
        seconds = _seconds(expires_in)

        def body(tx: Tx) -> dict[str, Any]:
            row = self._whose(tx, user)
            chosen = self._chosen(row, verbs)
            expires = timestamp() + seconds
            if self._desk.person.token:
                check_may(self._desk.person, "users")
                own = store.of_id(tx, self._desk.person.token)
                expires = min(expires, own["expires_at"] if own else 0.0)
            made, token = store.add(tx, row["id"], name, chosen, expires_at=expires)
            self._desk.record(
                tx, "add", "token", name,
                id=made["id"], user=row["name"], verbs=sorted(chosen), expires=rfc3339(expires),
            )  # fmt: skip
            return {**_shown(made), "token": token}

        return await self._desk.write(body)

    async def revoke(self, id: str) -> models.Token:
        """Revoke a token by its id, at once; one's own, or with the right ``users`` anybody's.

        Raises NotThere, also for another's.
        """
        person = self._desk.person

        def body(tx: Tx) -> Row:
            row = store.of_id(tx, id)
            if row is None or not (person.unrestricted or row["user_id"] == person.user):
                raise NotThere(
                    f"There is no token with the id {id}.",
                    hint="Tokens are listed by: postroom token list",
                )
            if store.revoke(tx, id):
                self._desk.record(tx, "revoke", "token", row["name"], id=id, user=row["user"])
            return store.of_id(tx, id) or row

        return _shown(await self._desk.write(body))

    def _whose(self, tx: Tx, user: str | None) -> Row:
        person = self._desk.person
        if user is not None:
            own = _is_own(tx, person, user)
            if not own:
                check_may(person, "users")  # before anybody is told who there is
            row = users.find(tx, user)
            if not own:
                check_not_above(self._desk, row["role"])
            return row
        found = users.of_id(tx, person.user) if person.user else None
        if found is None:
            raise InvalidValue("user", "say whose token it is: tokens belong to users")
        return found

    def _chosen(self, row: Row, verbs: Collection[str] | None) -> frozenset[str]:
        """The rights of a token.  Raises InvalidValue for one that there is not, Refused for more
        than its user has, or than who asks has."""
        if row["disabled"]:
            raise Refused(f"{row['name']} is disabled.", hint="A token of theirs would do nothing.")
        own = users.person_of(row)
        person = self._desk.person
        chosen = own.verbs & person.verbs if verbs is None else frozenset(verbs)
        for verb in sorted(chosen):
            if verb not in VERBS:
                near = nearest(verb, VERBS)
                guess = f"; did you mean {near}?" if near else ""
                raise InvalidValue(
                    "verbs", f"there is no right {verb!r}: choose of {', '.join(VERBS)}{guess}"
                )
            check_may(Person(own.actor, own.role, own.verbs, own.user), verb)
            check_may(person, verb)
        if not chosen:
            raise InvalidValue("verbs", "choose at least one")
        return chosen


def _is_own(tx: Tx, person: Person, user: str) -> bool:
    row = users.look_up(tx, user)
    return row is not None and row["id"] == person.user


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InvalidValue("expires_in", str(error)) from None
    if not _LEAST <= seconds <= _LONGEST:
        raise InvalidValue("expires_in", "give between 1m and 366d: a token always expires")
    return seconds


def _shown(row: Row) -> dict[str, Any]:
    person = store.person_of(row)
    return {
        "id": row["id"],
        "name": row["name"],
        "user": row["user"],
        "verbs": [verb for verb in VERBS if verb in person.verbs],
        "state": store.state_of(row),
        "created_at": rfc3339(row["created_at"]),
        "expires_at": rfc3339(row["expires_at"]),
        "used_at": rfc3339(row["used_at"]) if row["used_at"] else None,
        "revoked_at": rfc3339(row["revoked_at"]) if row["revoked_at"] else None,
    }
