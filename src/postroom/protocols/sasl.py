"""SASL, pure: PLAIN (RFC 4616), LOGIN, OAUTHBEARER (RFC 7628), XOAUTH2, and which one to take."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Final, Protocol

from postroom.errors import InvalidValue, ProtocolError, SignInError
from postroom.protocols.base import SignIn
from postroom.secret import Scrubber

__all__ = [
    "TOKEN_HINT",
    "Exchange",
    "Login",
    "Mechanism",
    "OAuthBearer",
    "Plain",
    "XOAuth2",
    "check",
    "choose",
]


TOKEN_HINT: Final = (
    "The token may be for another mailbox, may lack the permission for this protocol, or the "
    "protocol may be switched off for the mailbox. See who signed in: postroom connection signins"
)
"""What to do about a token that was refused although it had just been fetched."""
_SHORT_ENOUGH: Final = 8_000
"""Characters of a response, in base64, that every server takes after its go-ahead."""
_LONGEST_ERROR: Final = 500  # characters of a challenge that a person is shown


class Mechanism(Protocol):
    """The client's half of one mechanism: bytes before base64, good for one sign-in."""

    @property
    def name(self) -> str:
        """As the server announces it: upper case."""

    def initial(self) -> bytes | None:
        """The initial response, or None where the server speaks first (LOGIN)."""

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge.

        Raises ProtocolError when the server asks for more than the mechanism has to say.
        """


class Plain:
    """PLAIN: user and password in one response (RFC 4616); no authorization identity is sent."""

    name = "PLAIN"

    def __init__(self, sign_in: SignIn) -> None:
        """Raises InvalidValue for a user or password that cannot be sent."""
        check(sign_in)
        self._sign_in = sign_in

    def initial(self) -> bytes:
        """NUL, user, NUL, password."""
        return b"\0" + self._sign_in.user.encode() + b"\0" + _secret(self._sign_in)

    def respond(self, challenge: bytes) -> bytes:
        """Raises ProtocolError: PLAIN has one response only."""
        raise _asks_too_much(self.name)


class Login:
    """LOGIN (draft-murchison-sasl-login): the user, then the password, whatever the prompts say."""

    name = "LOGIN"

    def __init__(self, sign_in: SignIn) -> None:
        """Raises InvalidValue for a user or password that cannot be sent."""
        check(sign_in)
        self._sign_in = sign_in
        self._turn = 0

    def initial(self) -> None:
        """LOGIN has none: the server prompts first."""
        return

    def respond(self, challenge: bytes) -> bytes:
        """The user, then the password; prompts differ between servers, their order does not."""
        self._turn += 1
        if self._turn == 1:
            return self._sign_in.user.encode()
        if self._turn == 2:
            return _secret(self._sign_in)
        raise _asks_too_much(self.name)


class XOAuth2:
    """XOAUTH2 (Google, Microsoft): a bearer token; a refused one gets an error challenge first."""

    name = "XOAUTH2"
    _farewell = b""

    def __init__(self, sign_in: SignIn) -> None:
        """Raises InvalidValue for a user or token that cannot be sent."""
        check(sign_in)
        self._sign_in = sign_in
        self.error = b""
        """The server's error challenge, as it came (JSON in practice)."""

    def initial(self) -> bytes:
        """The user and the token between 0x01 separators."""
        user = self._sign_in.user.encode()
        return b"user=" + user + b"\x01auth=Bearer " + _secret(self._sign_in) + b"\x01\x01"

    def respond(self, challenge: bytes) -> bytes:
        """Take note of the error challenge and give the answer after which the refusal comes."""
        if self.error:
            raise _asks_too_much(self.name)
        self.error = challenge or b"{}"
        return self._farewell


class OAuthBearer(XOAuth2):
    """OAUTHBEARER (RFC 7628): the standard form of the same, without its optional host and port."""

    name = "OAUTHBEARER"
    _farewell = b"\x01"  # RFC 7628, 3.2.3

    def initial(self) -> bytes:
        """The GS2 header with the user, then the token (RFC 7628, 3.1)."""
        # saslname, RFC 5801: "," and "=" would end the name
        user = self._sign_in.user.replace("=", "=3D").replace(",", "=2C").encode()
        return b"n,a=" + user + b",\x01auth=Bearer " + _secret(self._sign_in) + b"\x01\x01"


_BY_METHOD: dict[str, tuple[type[Plain | Login | XOAuth2], ...]] = {
    "password": (Plain, Login),
    "token": (OAuthBearer, XOAuth2),
}


def choose(offered: Iterable[str], sign_in: SignIn) -> Mechanism:
    """The best mechanism for this sign-in among those the server offers, in any case of letters.

    Raises SignInError when none fits (the sentence names what was offered) and InvalidValue when
    user or secret hold a character that cannot be sent.
    """
    names = [name.upper() for name in offered]
    fitting = _BY_METHOD.get(sign_in.method, ())
    for kind in fitting:
        if kind.name in names:
            return kind(sign_in)
    shown = ", ".join(sorted(set(names))) or "none"
    wanted = " or ".join(kind.name for kind in fitting) or "none"
    raise SignInError(
        f"The server offers no way to sign in that fits: it offers {shown}, this needs {wanted}.",
        hint="Check the sign-in of the connection, and whether the server offers more over TLS.",
        code="not_supported",
        offered=sorted(set(names)),
    )


class Exchange:
    """One mechanism in base64, as IMAP, POP3 and SMTP carry it (RFC 4422; RFC 4954, 4).

    First :meth:`initial`; where that gives None the mechanism is named alone.  Then :meth:`answer`
    for each challenge.
    """

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism = mechanism
        self._waiting = mechanism.initial()
        self._size = len(base64.b64encode(self._waiting or b""))

    @property
    def name(self) -> str:
        """The mechanism's name."""
        return self.mechanism.name

    @property
    def by_token(self) -> bool:
        """Whether it presents a token."""
        return isinstance(self.mechanism, XOAuth2)

    def too_long(self, where: str, said: str = "") -> SignInError | None:
        """What to raise when ``where`` hangs up or refuses the line; None when the length is no reason.

        Dovecot takes 8,192 characters of a response and then ends the connection, Postfix 12,288
        (RFC 4954, 4).
        """
        if not self.by_token or self._size <= _SHORT_ENOUGH:
            return None
        return SignInError(
            f"{where} does not take a sign-in of {self._size:,} characters: the token is too long.",
            hint="Have the authorization server put less into its tokens (groups, roles, claims), or "
            "have the limit of the mail server raised.",
            said=said,
        )

    def with_challenge(self, said: str, scrubber: Scrubber) -> str:
        """What the server said of a refusal, and behind it the error challenge of before: it alone
        names the scope or the status.
        """
        return " ".join(filter(None, (said, self.challenge(scrubber))))

    def challenge(self, scrubber: Scrubber) -> str:
        """The error challenge (RFC 7628, 3.2.2) on one line, without the token; empty: there was none."""
        error = self.mechanism.error if isinstance(self.mechanism, XOAuth2) else b""
        text = " ".join(scrubber.text(error.decode("utf-8", "replace")).split())
        return "".join(each if each.isprintable() else "?" for each in text)[:_LONGEST_ERROR]

    def initial(self, room: int) -> bytes | None:
        """The initial response in base64 (``=`` if empty), or None.

        One of more than ``room`` bytes is kept for the first challenge.
        """
        if self._waiting is None:
            return None
        encoded = base64.b64encode(self._waiting) or b"="
        if len(encoded) > room:
            return None
        self._waiting = None
        return encoded

    def answer(self, challenge: bytes) -> bytes:
        """The answer to a challenge, both in base64.

        Raises ProtocolError for a challenge that is no base64.
        """
        if self._waiting is not None:  # the server asks for the initial response
            waiting, self._waiting = self._waiting, None
            return base64.b64encode(waiting)
        try:
            asked = base64.b64decode(challenge.strip(), validate=True)
        except (binascii.Error, ValueError):
            if self.name != "LOGIN":
                raise ProtocolError(
                    f"The server's {self.name} challenge is not base64.", step="sign-in"
                ) from None
            asked = b""  # some servers prompt in clear text; the prompt is not read anyway
        return base64.b64encode(self.mechanism.respond(asked))


def check(sign_in: SignIn) -> None:
    """Refuse what would end a line or a field, before a byte of it can be written.

    Raises InvalidValue; so do the mechanisms when they are made.
    """
    if not sign_in.user:
        raise InvalidValue("user", "a sign-in needs a user name")
    if not sign_in.secret:
        raise InvalidValue("secret", "a sign-in needs a password or a token")
    # 0x01 separates the fields of the OAuth mechanisms
    bad = "\0\r\n\x01" if sign_in.method == "token" else "\0\r\n"
    for field, text in (("user", sign_in.user), ("secret", sign_in.secret.reveal())):
        if any(character in text for character in bad):
            raise InvalidValue(field, "it holds a line break or NUL, which cannot be sent")
    try:
        sign_in.user.encode()
    except UnicodeEncodeError:
        raise InvalidValue("user", "it holds half a character; type it again") from None


def _secret(sign_in: SignIn) -> bytes:
    return sign_in.secret.reveal_bytes() if sign_in.secret else b""


def _asks_too_much(name: str) -> ProtocolError:
    return ProtocolError(f"The server asks for more than {name} has to say.", step="sign-in")
