"""Macros: any text is expanded once or refused; no value is looked into."""

from __future__ import annotations

import datetime as dt

from postroom.errors import WrongUse
from postroom.macros import NAMING, SETTING, Scope, expand, names, prepare

__all__ = ["WORDS", "check"]

WORDS = (
    b"${", b"$${", b"}", b"$", b"{", b"var:", b"lay:", b"env:", b"mail:", b"date:", b"localhost:",
    b"canonical-name", b"A", b"B", b"LOOP", b"subject", b"REGION", b"%Y", b"%", b"%F",
    b"%s", b"/", b":", b"\0", b" ", "ü".encode(),
)  # fmt: skip
SCOPE = Scope(
    variables={"A": "deep", "B": "${A}", "LOOP": "${LOOP}"},
    environment={"REGION": "eu"},
    environment_known={"REGION", "PATH"},
    mail={"folder": "INBOX", "from": "a@x.org", "subject": "${A}", "received": "2026"},
    now=dt.datetime(2026, 1, 31, 10, 5, 7, tzinfo=dt.UTC),
    host="host.example.com",
)
LONGEST_VALUE = 40


def check(data: bytes) -> None:
    """The bytes as a setting and as a name template."""
    text = data.decode("utf-8", "replace")
    for allowed in (SETTING, NAMING):
        try:
            found = expand(text, SCOPE, allowed=allowed)
        except WrongUse as error:
            assert error.sentence  # noqa: PT017
            continue
        assert list(found.references) == names(text)
        assert len(found.text) <= len(text) + LONGEST_VALUE * (len(found.references) + 1)
        if "${" not in text:
            assert found.text == text
        if not found.references and "$${" not in text:
            assert found.text == text  # what stands in another opening stays as it is written
        if len(found.references) == 1 and text.startswith("${") and text.find("}") == len(text) - 1:
            assert expand(f"${{{text}}}", SCOPE, allowed=allowed).text == f"${{{text}}}"
    try:
        template = prepare(text, SCOPE)
    except WrongUse:
        return
    assert SCOPE.mail is not None
    assert SCOPE.now is not None
    filled = template.fill(SCOPE.mail, SCOPE.now)
    above, below = template.split()
    assert filled.startswith(above)
    assert isinstance(str(below), str)
