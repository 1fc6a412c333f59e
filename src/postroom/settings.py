"""Settings of the process: where the room lies and where its key comes from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from postroom.clock import parse_duration
from postroom.errors import RoomError
from postroom.secret import Secret

__all__ = [
    "Oidc", "Served", "Settings", "mail_beside", "served_at", "served_elsewhere", "settings_of",
]  # fmt: skip


_KEEP: Final = 400 * 86400.0
_LEAST_KEEP: Final = 7 * 86400.0
_YES: Final = frozenset({"1", "true", "yes", "on"})
_ADDRESS: Final = ("http://", "https://")
_NO: Final = frozenset({"", "0", "false", "no", "off"})


_OIDC: Final = (
    "POSTROOM_OIDC_CREDENTIAL", "POSTROOM_OIDC_ISSUER", "POSTROOM_OIDC_CLIENT_ID",
    "POSTROOM_OIDC_GROUPS_CLAIM", "POSTROOM_OIDC_ROLES",
)  # fmt: skip


_ROLES: Final = ("admin", "editor", "operator", "viewer", "auditor")
"""Those of access/rights.py, which is a floor above: a test compares them."""


class Oidc(NamedTuple):
    """A provider of OpenID Connect: its ``issuer`` and our ``client_id`` there, or the ``oauth_client``
    credential that has both and the client secret.

    ``roles`` are pairs of a group and the role it gives, the first that fits; ``groups_claim`` is
    where the id token has groups.
    """

    credential: str = ""
    issuer: str = ""
    client_id: str = ""
    groups_claim: str = "groups"
    roles: tuple[tuple[str, str], ...] = ()


class Served(NamedTuple):
    """A room that is served: its address, a token of somebody, and the PEM text that is trusted for it
    (empty: what the system trusts).
    """

    url: str
    token: Secret
    trust: str = ""


class Settings(NamedTuple):
    """``room`` is the data directory; ``kek`` a KEK source or None for the room's own key file.

    ``public_only`` refuses to dial loopback and private addresses too.  ``audit_keep`` is for how
    many seconds the audit record is kept at least.  ``device_flow``: whether a person may sign in by a
    code that is typed on another device (RFC 8628, 5.4: such codes are phished).  ``oidc``: the
    provider at which people sign in to the page; None: by password alone.
    """

    room: Path
    kek: str | None = None
    public_only: bool = False
    audit_keep: float = _KEEP
    device_flow: bool = True
    oidc: Oidc | None = None


def mail_beside(room: Path) -> Path:
    """The directory beside a room where messages are collected to when nobody says another."""
    return room.with_name(f"{room.name}-mail")


def settings_of(
    *,
    room: str | Path | None = None,
    kek: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """What was said, else the environment (``POSTROOM_ROOM``, ``POSTROOM_KEK``,
    ``POSTROOM_PUBLIC_ONLY``, ``POSTROOM_AUDIT_KEEP``, ``POSTROOM_DEVICE_FLOW``,
    ``POSTROOM_OIDC_CREDENTIAL`` and its like), else the defaults.

    Raises RoomError on Windows, for the address of a room that is served, for settings of a later
    release, for a POSTROOM_KEK without a kind of source and for a POSTROOM_PUBLIC_ONLY or
    POSTROOM_DEVICE_FLOW that says neither yes nor no.
    """
    env = os.environ if environ is None else environ
    if sys.platform == "win32":
        raise RoomError("Postroom runs on Linux and macOS; Windows is not supported.")
    if env.get("POSTROOM_DATABASE_URL"):
        raise RoomError(
            "POSTROOM_DATABASE_URL is set, but this release keeps its rooms in SQLite.",
            hint="Unset it, or install a release with PostgreSQL.",
        )
    chosen = room or env.get("POSTROOM_ROOM") or _default_room(env)
    if str(chosen).startswith(_ADDRESS) or (env.get("POSTROOM_URL") and not room):
        raise served_elsewhere()
    if not kek and env.get("POSTROOM_KEK"):
        _check_kek(env["POSTROOM_KEK"])
    return Settings(
        Path(chosen).expanduser().absolute(),
        kek or env.get("POSTROOM_KEK") or None,
        _said(
            "POSTROOM_PUBLIC_ONLY",
            env,
            "Set it to 1 to dial public addresses only, to 0 or not at all otherwise.",
        ),
        _audit_keep(env.get("POSTROOM_AUDIT_KEEP")),
        not env.get("POSTROOM_DEVICE_FLOW")
        or _said(
            "POSTROOM_DEVICE_FLOW",
            env,
            "Set it to 0 to forbid the device flow, to 1 or not at all to permit it.",
        ),
        _oidc(env),
    )


def _oidc(env: Mapping[str, str]) -> Oidc | None:
    """The provider of the environment, or None.  Raises RoomError for half of one."""
    credential, issuer, client, claim, pairs = (env.get(name, "").strip() for name in _OIDC)
    if not any((credential, issuer, client, claim, pairs)):
        return None
    if not credential and not (issuer and client):
        raise RoomError(
            "The provider for sign-in is named by half.",
            hint="Set POSTROOM_OIDC_CREDENTIAL to an oauth_client credential, or both "
            "POSTROOM_OIDC_ISSUER and POSTROOM_OIDC_CLIENT_ID.",
        )
    roles = []
    for pair in filter(None, pairs.split(",")):
        group, _, role = (each.strip() for each in pair.rpartition("="))
        if not group or role not in _ROLES:
            raise RoomError(
                f"POSTROOM_OIDC_ROLES has {pair.strip()!r}, which is no GROUP=ROLE.",
                hint="Write it like: mail-admins=admin,staff=viewer",
            )
        roles.append((group, role))
    return Oidc(credential, issuer, client, claim or "groups", tuple(roles))


def served_at(
    *,
    room: str | Path | None = None,
    token: str | Secret | None = None,
    trust: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Served | None:
    """Where the room is served, if it is an address: what was said, else ``POSTROOM_URL``, else
    ``POSTROOM_ROOM``.  None for a room on this machine.

    The token is what was given, else ``POSTROOM_TOKEN``, else what stands in ``POSTROOM_TOKEN_FILE``;
    ``trust``, else ``POSTROOM_TRUST``, is a file with the certificate (PEM) that is trusted instead of
    the system's.  Raises RoomError where there is no token, and for a file that cannot be read.
    """
    env = os.environ if environ is None else environ
    chosen = str(room or env.get("POSTROOM_URL") or env.get("POSTROOM_ROOM") or "")
    if not chosen.startswith(_ADDRESS):
        for name, said in (("token", token), ("certificate to trust", trust)):
            if said is not None:
                raise RoomError(
                    f"A {name} is for a room that is served.",
                    hint=f"Give its address, https://..., or leave the {name} out.",
                )
        return None
    found = token or env.get("POSTROOM_TOKEN") or _content("POSTROOM_TOKEN_FILE", env).strip()
    if not found:
        raise RoomError(
            "There is no token for the room that is served.",
            hint="Set POSTROOM_TOKEN_FILE (or POSTROOM_TOKEN); postroom token add makes one.",
        )
    secret = found if isinstance(found, Secret) else Secret(found)
    return Served(chosen, secret, _content("POSTROOM_TRUST", env, trust))


def served_elsewhere() -> RoomError:
    """What to say where the room's own files are wanted, and there is only its address."""
    return RoomError(
        "That wants the files of the room, and this is the address of one that is served.",
        hint="Do it on the machine where the room is; --room takes its directory.",
    )


def _content(name: str, env: Mapping[str, str], said: str | Path | None = None) -> str:
    path = said or env.get(name)
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise RoomError(f"{name}: {path} cannot be read.") from None


def _said(name: str, env: Mapping[str, str], hint: str) -> bool:
    """A word that is neither is no no: what was meant to protect would not."""
    text = env.get(name, "")
    word = text.strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise RoomError(f"{name} is {text!r}, which is neither yes nor no.", hint=hint)


def _audit_keep(text: str | None) -> float:
    """Seconds; some days at least, or a mistyped unit would empty the record."""
    if not text:
        return _KEEP
    try:
        keep = parse_duration(text)
    except ValueError as error:
        raise RoomError(f"POSTROOM_AUDIT_KEEP is {text!r}: {error}.") from None
    if keep < _LEAST_KEEP:
        raise RoomError(f"POSTROOM_AUDIT_KEEP is {text!r}: give 7d or more.")
    return keep


def _check_kek(value: str) -> None:
    """Raises RoomError for a path alone.  Other words are not shown: they may be the key itself."""
    if ":" in value:
        return
    if value.startswith(("/", "~", ".")):
        raise RoomError(f"POSTROOM_KEK is {value!r}: write file:{value}")
    raise RoomError(
        "POSTROOM_KEK does not say where the key is.",
        hint="Write file:PATH, mounted:PATH, env:NAME or passphrase:",
    )


def _default_room(env: Mapping[str, str]) -> Path:
    """The user's data directory (XDG base directories; macOS: Application Support)."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "postroom"
    return Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "postroom"
