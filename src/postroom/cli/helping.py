"""What goes wrong in a mailbox, with the whole command that helps."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator

from postroom.errors import PostroomError

__all__ = ["helping"]


@contextlib.contextmanager
def helping(via: str, folder: str = "INBOX") -> Iterator[None]:
    """Inside it, errors of the mailbox of connection ``via`` name the command that shows more."""
    try:
        yield
    except PostroomError as error:
        where = "" if folder == "INBOX" else f" --folder {shlex.quote(folder)}"
        helps = {
            "not_found": f"Its ids now: postroom mail list --via {shlex.quote(via)}{where}",
            "folder_missing": f"{error.hint} See them: postroom mail folders --via {shlex.quote(via)}",
            "certificate_untrusted": "See it, and the command that trusts it: "
            f"postroom connection test {shlex.quote(via)}",
        }
        # not_found is also a connection that is not there, which has a hint of its own
        if error.code in helps and (error.code != "not_found" or error.facts.get("ids")):
            error.hint = helps[error.code]
        raise
