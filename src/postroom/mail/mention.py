"""Whether an address is named in a text: as a whole, not as a part of a longer one; pure."""

from __future__ import annotations

import re

from postroom.mail.addresses import Address

__all__ = ["Mention"]


class Mention:
    """Finds one address, whatever the case, its domain in both spellings (RFC 5890)."""

    def __init__(self, address: Address) -> None:
        self.address = address.address
        forms = {address.address.lower(), address.envelope.lower()}
        local, _, domain = address.envelope.rpartition("@")
        if "xn--" in domain:
            import idna  # its tables take 10 ms to load, and most domains are ASCII

            forms.add(f"{local}@{idna.decode(domain)}".lower())
        self._forms = tuple(forms)
        either = "|".join(re.escape(form) for form in forms)
        self._whole = re.compile(rf"(?<![\w.+-])(?:{either})(?![\w-]|\.\w)")

    def named_in(self, text: str) -> bool:
        """Whether a text names it: ``Ada <ada@example.com>``, and not ``nada@example.com``."""
        low = text.lower()  # not folded: straße is not strasse
        return any(form in low for form in self._forms) and bool(self._whole.search(low))
