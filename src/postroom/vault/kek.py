"""Where the key-encryption key is: a file, a mount, systemd, the environment, a passphrase, others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from postroom.errors import InvalidValue, Locked
from postroom.secret import Secret
from postroom.vault.keyfile import parse_key, read_mounted, read_private, write_key
from postroom.vault.outside import kinds, load_outside
from postroom.vault.passphrase import Argon2
from postroom.vault.seal import derive

__all__ = [
    "PASSPHRASE_VARIABLE",
    "Ask",
    "Kek",
    "default_source",
    "heads_file",
    "kek_of",
    "load_kek",
    "make_key_file",
    "source_file",
]

Ask = Callable[[str], Secret]
"""Asks a person for a secret; is given the question."""

PASSPHRASE_VARIABLE = "POSTROOM_PASSPHRASE"
_OWN = {"file", "mounted", "systemd", "env", "passphrase"}


class Kek(NamedTuple):
    """A key-encryption key.

    ``warning`` is for people, when the source is a poor one; ``source`` is where it was found.
    """

    id: str
    key: Secret
    warning: str = ""
    source: str = ""


def kek_of(key: Secret, warning: str = "") -> Kek:
    """The KEK with its id, 16 hexadecimal characters that depend on the key alone.

    The id is HKDF-SHA-256 output (RFC 5869) under a label of its own: it says nothing about the key
    or about the wrapping key, which comes out of the same HKDF under another label; so a wrong key
    is told, by name, before anything is unwrapped.  For a passphrase the id lets a guess be
    checked, as the wrapped key itself does: Argon2id is what makes the guess dear.
    """
    return Kek(derive(key.reveal_bytes(), b"postroom kek id 1", size=8).hex(), key, warning)


def default_source(room_id: str) -> str:
    """The KEK source of a room when nobody names one: a file in the configuration directory.

    Root has the system's (``/etc/postroom/keys``), everybody else their own; XDG_CONFIG_HOME says
    where, to root too.
    """
    told = os.environ.get("XDG_CONFIG_HOME")
    if told:
        base = Path(told)
    elif os.geteuid() == 0:
        base = Path("/etc")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path.home() / ".config"
    return f"file:{base / 'postroom' / 'keys' / f'{room_id}.key'}"


def source_file(source: str) -> Path | None:
    """The path of a ``file:`` source, else None: the one kind of source that we make ourselves."""
    kind, rest = _split(source)
    return Path(rest).expanduser() if kind == "file" else None


def heads_file(source: str, room_id: str) -> Path:
    """Where the head of the audit record is kept: beside the key file of a room, or, when its key
    is elsewhere, in the configuration directory.
    """
    beside = source_file(source) or source_file(default_source(room_id))
    return Path(beside or f"{room_id}.key").absolute().with_name(f"{room_id}.heads")


def make_key_file(path: Path) -> Kek:
    """Make a new random key at ``path``, mode 0600, synced; raises FileExistsError or Locked."""
    return kek_of(write_key(path))


def load_kek(
    source: str,
    *,
    data_dir: Path,
    ask: Ask | None = None,
    argon2: Argon2 | None = None,
    environ: Mapping[str, str] | None = None,
) -> Kek:
    """Read the KEK from ``file:PATH``, ``mounted:PATH``, ``systemd:NAME``, ``env:NAME``,
    ``passphrase:[PATH]`` or what another package adds (outside.py).

    ``argon2`` are the parameters the room keeps; without them a passphrase opens nothing.  Raises
    Locked (``key_missing``, ``key_unsafe``) with a sentence that says what to do, or InvalidValue
    for a source that is none of these.
    """
    kind, rest = _split(source)
    env = os.environ if environ is None else environ
    if kind == "file":
        path = Path(rest).expanduser().absolute()
        kek = kek_of(parse_key(read_private(path, data_dir=data_dir), f"The key file {path}"))
        return kek._replace(source=f"file:{path}")
    if kind == "mounted":
        mounted = Path(rest).absolute()
        text = read_mounted(mounted, data_dir=data_dir)
        kek = kek_of(parse_key(text, f"The mounted key {mounted}"))
        return kek._replace(source=f"mounted:{mounted}")
    if kind == "systemd":
        return _from_systemd(rest, data_dir, env)._replace(source=source)
    if kind == "env":
        return _from_environment(rest, env)._replace(source=source)
    if kind != "passphrase":
        return kek_of(load_outside(kind, rest))._replace(source=source)
    return _from_passphrase(rest, data_dir, ask, argon2, env)._replace(source=source)


def _split(source: str) -> tuple[str, str]:
    kind, colon, rest = source.partition(":")
    known = kind in _OWN or (colon and kind in kinds())
    if not known or not colon or (not rest and kind != "passphrase"):
        others = "".join(f", {each}:..." for each in sorted(kinds() - _OWN))
        raise InvalidValue(
            "kek",
            f"give file:PATH, mounted:PATH, systemd:NAME, env:NAME or passphrase:{others}",
        )
    return kind, rest


def _from_systemd(name: str, data_dir: Path, env: Mapping[str, str]) -> Kek:
    """A credential of the unit: ``LoadCredential=`` or ``LoadCredentialEncrypted=`` (systemd.exec(5)).

    systemd puts it into a directory in memory that only the unit's user reads; it is checked as a
    mounted secret is.
    """
    directory = env.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise Locked(
            f"systemd:{name} names a credential of a systemd unit, and this process has none.",
            code="key_missing",
            hint=f"Start it as a unit with LoadCredentialEncrypted={name}:FILE, or say where the key "
            "is with POSTROOM_KEK.",
        )
    if "/" in name or name.startswith("."):
        raise InvalidValue("kek", "the name of a systemd credential is no path")
    text = read_mounted(Path(directory) / name, data_dir=data_dir)
    return kek_of(parse_key(text, f"The systemd credential {name}"))


def _from_environment(name: str, env: Mapping[str, str]) -> Kek:
    if not env.get(name):
        raise Locked(
            f"The environment variable {name} should hold the key and is not set.",
            code="key_missing",
            hint="Set it, or say where the key is with POSTROOM_KEK.",
        )
    return kek_of(
        parse_key(env[name], f"The environment variable {name}"),
        f"The key is in the environment variable {name}, where every program of this user, crash "
        "reports and container inspection can see it. A file or a mounted secret is safer.",
    )


def _from_passphrase(
    path: str, data_dir: Path, ask: Ask | None, argon2: Argon2 | None, env: Mapping[str, str]
) -> Kek:
    if argon2 is None:
        raise Locked(
            "This room was not made with a passphrase.",
            code="key_wrong",
            hint="Say where its key is with POSTROOM_KEK.",
        )
    if path:
        file = Path(path).expanduser()
        text = read_private(file, data_dir=data_dir, name="passphrase file")
        phrase = Secret(text.removesuffix("\n"))
    elif env.get(PASSPHRASE_VARIABLE):
        phrase = Secret(env[PASSPHRASE_VARIABLE])
    elif ask is not None:
        phrase = ask("Passphrase of the room: ")
    else:
        raise Locked(
            "The room's passphrase is needed and nobody is here to ask.",
            code="key_missing",
            hint=f"Set {PASSPHRASE_VARIABLE}, or use passphrase:PATH.",
        )
    return kek_of(argon2.derive(phrase))
