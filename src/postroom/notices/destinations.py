"""Where notifications present secrets: the origin of each address, and its line by credential."""

from __future__ import annotations

from collections.abc import Callable

from postroom.credentials.trust import trusted_in
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.net.dial import Policy
from postroom.net.names import parse_proxy
from postroom.net.origin import Origin, origin_of
from postroom.net.tls import Tls
from postroom.notices import store
from postroom.notices.notification import Notify

__all__ = ["credentials_named", "origin", "webhook_lines"]


def origin(one: Notify, trusted: Callable[[str], str], *, policy: Policy | None = None) -> Origin:
    """The server of a webhook or a ping.  Raises InvalidValue where its certificate is not there."""
    tls = None
    if one.trust:
        tls = Tls(trust=(trusted(one.trust),))
        _ = tls.trust_id  # reads the certificate
    proxy = parse_proxy(one.proxy, field="proxy") if one.proxy else None
    return origin_of(one.bare_url, tls=tls, proxy=proxy, policy=policy)


def webhook_lines(tx: Tx) -> dict[str, set[str]]:
    """The lines that notifications add, by credential (its name in lower case).

    One whose certificate is gone adds none.
    """
    found: dict[str, set[str]] = {}
    for one in store.load_all(tx):
        named = [name for name in (one.credential, one.signing) if name]
        if not named:
            continue
        try:
            line = origin(one, trusted_in(tx)).line
        except PostroomError:
            continue
        for name in named:
            found.setdefault(name.casefold(), set()).add(line)
    return found


def credentials_named(tx: Tx) -> list[tuple[str, str, str]]:
    """Every credential that a notification names, casefolded; that notification; and in which field."""
    return [
        (name.casefold(), one.name, place)
        for one in store.load_all(tx)
        for place in ("credential", "signing", "trust")
        if (name := getattr(one, place))
    ]
