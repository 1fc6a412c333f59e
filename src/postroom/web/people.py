"""What the entrance asks of the room: who comes in, who is there, who goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from postroom.secret import Secret

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["People", "Session", "SignedIn", "people_of"]


class Session(Protocol):
    """A session: who it is of, the token of its forms, when they last proved who they are."""

    @property
    def person(self) -> Any: ...
    @property
    def name(self) -> str: ...
    @property
    def csrf(self) -> str: ...
    @property
    def proved_at(self) -> float: ...


class SignedIn(Protocol):
    """What signing in gives: the cookie, and the session that it stands for."""

    @property
    def cookie(self) -> Secret: ...
    @property
    def session(self) -> Session: ...


class People(Protocol):
    """The operations before anybody is known."""

    async def accept(
        self, code: str, name: str = "", password: Secret = ..., *, agent: str = ""
    ) -> SignedIn: ...
    async def sign_in(self, name: str, password: Secret, *, peer: str, agent: str) -> SignedIn: ...
    async def session(self, cookie: Secret) -> Session: ...
    async def prove(self, cookie: Secret, password: Secret) -> None: ...
    async def sign_out(self, cookie: Secret) -> None: ...


def people_of(room: Room) -> People:
    """The operations of a room before anybody is known."""
    return cast("People", room.people)  # type: ignore[attr-defined]
