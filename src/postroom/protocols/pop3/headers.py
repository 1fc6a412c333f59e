"""Header blocks as TOP gives them: the fields somebody asked for, as raw bytes (RFC 5322, 2.2)."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["header_block", "pick"]


def header_block(top: bytes) -> bytes:
    """The header with its empty line; some servers give body lines to TOP n 0 all the same."""
    end = top.find(b"\r\n\r\n")
    if top.startswith(b"\r\n"):
        return top[:2]
    return top if end < 0 else top[: end + 4]


def pick(block: bytes, names: Iterable[str]) -> bytes:
    """The fields of these names, folded lines and order kept, with the empty line at the end."""
    wanted = {name.encode("ascii", "replace").lower() for name in names}
    picked: list[bytes] = []
    taking = False
    for line in block.splitlines(keepends=True):
        if not line.strip(b"\r\n"):
            break
        if line[:1] not in b" \t":
            taking = line.partition(b":")[0].strip().lower() in wanted
        if taking:
            picked.append(line)
    return b"".join(picked) + b"\r\n" if picked else b""
