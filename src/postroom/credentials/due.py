"""What of a credential ends, and when: its own dates, its certificates, its client secrets."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from postroom.clock import now

__all__ = ["ENDING", "SOON_DAYS", "Due", "due_of"]

SOON_DAYS: Final = 30
"""From how many days before its end on something is a warning."""

ENDING: Final = {"certificate", "next_certificate", "client_secrets"}
"""Fields that may end: most records have none, and a list has ten thousand of them."""


class Due(NamedTuple):
    """One end: ``what`` is the field, ``on`` the date, ``days`` how many are left (negative: past)."""

    what: str
    on: dt.date
    days: int

    def __str__(self) -> str:
        """``certificate expires in 12 days, on 2027-01-31``."""
        if self.what == "rotate_after":
            verb = "should be replaced" if self.days >= 0 else "should have been replaced"
        else:
            verb = "expires" if self.days >= 0 else "expired"
        words = (self.subject, verb, _when(self.days))
        return f"{' '.join(word for word in words if word)}, on {self.on}"

    @property
    def subject(self) -> str:
        """What ends, as people say it; empty for the credential as a whole."""
        if self.what in ("expires_at", "rotate_after"):
            return ""
        found = self.what.removesuffix(".valid_until").replace(
            "next_certificate", "next certificate"
        )
        return found.replace("client_secrets.", "client secret ")


def due_of(
    stored: Mapping[str, Any], expires_at: dt.date | None, rotate_after: dt.date | None
) -> list[Due]:
    """Everything that ends, nearest first.  ``stored`` are the fields that are not sealed."""
    if not (expires_at or rotate_after or stored.keys() & ENDING):
        return []
    ends = {"expires_at": expires_at, "rotate_after": rotate_after}
    for name in ("certificate", "next_certificate"):
        if isinstance(text := stored.get(name), str):
            ends[name] = _not_after(text)
    secrets = stored.get("client_secrets")
    for label, one in (secrets if isinstance(secrets, Mapping) else {}).items():
        ends[f"client_secrets.{label}.valid_until"] = _date(one.get("valid_until"))
    today = now().date()
    found = [Due(what, on, (on - today).days) for what, on in ends.items() if on is not None]
    return sorted(found, key=lambda one: one.on)


@functools.lru_cache(1024)
def _not_after(pem: str) -> dt.date | None:
    """When the first certificate of the text to end ends (RFC 5280, notAfter)."""
    from cryptography import x509  # a list without certificates does not need it

    try:
        return min(
            one.not_valid_after_utc for one in x509.load_pem_x509_certificates(pem.encode())
        ).date()
    except ValueError:  # damaged: that is said elsewhere
        return None


def _date(value: object) -> dt.date | None:
    try:
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))
    except ValueError:
        return None


def _when(days: int) -> str:
    count = "1 day" if abs(days) == 1 else f"{abs(days)} days"
    return "today" if days == 0 else f"in {count}" if days > 0 else f"{count} ago"
