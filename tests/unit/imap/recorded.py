"""Bytes as real servers send them, each an answer with its oddities: the corpus of the fuzzing."""

from __future__ import annotations

from tests.fuzz.target import CORPUS

__all__ = ["GREETING", "everything"]

GREETING = b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready {5}\r\n"
RECORDED = (
    "bodies", "cyrus", "dovecot-list", "dovecot-select", "envelope", "exchange-fetch", "gmail-list",
    "numbers-without-end", "rows", "search", "unasked",
)  # fmt: skip


def everything() -> bytes:
    """All of it behind one greeting."""
    files = [(CORPUS / "imap" / name).read_bytes() for name in RECORDED]
    return GREETING + b"".join(data.removeprefix(GREETING) for data in files)
