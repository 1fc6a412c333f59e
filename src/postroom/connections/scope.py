"""What macros of saved settings may see: the room's variables and the environment it allows."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

from postroom import macros
from postroom.db import Tx
from postroom.variables.store import all_variables, allowed_environment

__all__ = ["expander", "scope_of", "templates"]


def scope_of(tx: Tx, environ: Mapping[str, str] | None = None) -> macros.Scope:
    """The scope of this room; ``environ`` defaults to the environment of this process.

    It has no instant: where a secret is presented must not depend on the clock.
    """
    process = os.environ if environ is None else environ
    allowed = allowed_environment(tx)
    return macros.Scope(
        variables=all_variables(tx),
        environment={name: process[name] for name in allowed if name in process},
        environment_known=process.keys(),
        host=socket.gethostname(),
    )


def expander(tx: Tx, environ: Mapping[str, str] | None = None) -> Callable[[str, str], str]:
    """Expands one plain setting after another; the scope is read when a macro is met first."""
    found: list[macros.Scope] = []

    def expand(text: str, where: str) -> str:
        if not found:
            found.append(scope_of(tx, environ))
        return macros.expand(text, found[0], allowed=macros.SETTING, name=where).text

    return expand


def templates(
    tx: Tx, environ: Mapping[str, str] | None = None
) -> Callable[[str, str], macros.Template]:
    """As :func:`expander`, for settings that say something of each message too."""
    found: list[macros.Scope] = []

    def prepare(text: str, where: str) -> macros.Template:
        if not found:
            found.append(scope_of(tx, environ))
        return macros.prepare(text, found[0], name=where)

    return prepare
