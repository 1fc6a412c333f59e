"""Who signed in, held against who was expected: names, tenants, and what could not be told."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from postroom.errors import InvalidValue, SignInError
from postroom.net.names import canonical_host
from postroom.oauth.answers import shown
from postroom.oauth.claims import Claims
from postroom.oauth.tokens import TokenGrant

__all__ = ["SignedIn", "address_key", "check_account", "same_address", "signed_in"]

PERSONAL: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of Microsoft's personal accounts (``consumers``)."""

Outcome = Literal["same", "other", "unknown"]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, as far as the tokens say.

    ``names`` are the addresses the account goes by, the most trustworthy first.
    """

    names: tuple[str, ...] = ()
    tenant: str = ""

    @property
    def name(self) -> str:
        """The address to show; empty when the tokens say none."""
        return self.names[0] if self.names else ""


def signed_in(grant: TokenGrant) -> SignedIn:
    """Who signed in: by the id token, else by what the access token says."""
    claims = grant.claims or grant.hints
    if claims is None:
        return SignedIn()
    names = tuple(name for name in _names(claims) if "@" in name)
    return SignedIn(names, claims.tenant)


def _names(claims: Claims) -> Iterable[str]:
    # Entra lets its users' administrators write any address into email, also one of another tenant
    # ("nOAuth"), so there it only counts where nothing better is said; elsewhere it is the name
    better = [name for name in (claims.upn, claims.preferred_username) if name]
    believed = bool(claims.email) and claims.email_verified is not False
    if believed and not (claims.tenant and better):
        better.append(claims.email)
    return dict.fromkeys(better)


def check_account(found: SignedIn, account: str, *, tenant: str = "") -> Outcome:
    """Hold who signed in against who was expected.

    ``same``: it is that account.  ``unknown``: the tokens do not say (the call will prove it).
    ``tenant``: the expected one; only a GUID, ``consumers`` or ``organizations`` can be compared.
    Raises SignInError (facts ``expected``, ``signed_in``) for another account or another tenant:
    whoever gets it throws the tokens away.
    """
    wanted = PERSONAL if tenant.lower() == "consumers" else tenant.lower()
    if found.tenant and wanted.count("-") == 4 and found.tenant != wanted:
        raise _other(
            f"The account that signed in ({shown(found.name) or 'it'}) is of another tenant.",
            "Sign in with an account of the tenant in the authority.",
            account,
            found,
        )
    if tenant.lower() == "organizations" and found.tenant == PERSONAL:
        raise _other(
            "A personal account signed in, where a work account is wanted.",
            "Sign in with the work account.",
            account,
            found,
        )
    if not account or not found.names:
        return "unknown"
    if any(same_address(name, account) for name in found.names):
        return "same"
    raise _other(
        f"{shown(found.name)} signed in, but {shown(account)} was expected.",
        "Sign out there and sign in as the expected account; or change account of the connection.",
        account,
        found,
    )


def _other(sentence: str, hint: str, account: str, found: SignedIn) -> SignInError:
    return SignInError(
        sentence, hint=hint, expected=shown(account), signed_in=[shown(n) for n in found.names]
    )


def same_address(one: str, other: str) -> bool:
    """Whether two addresses name one account: in any case of letters, domains in either form."""
    return address_key(one) == address_key(other)


def address_key(address: str) -> str:
    """An address in the form in which accounts are compared.

    Letters are not folded (``straße`` and ``strasse`` are two accounts), only made small; the domain
    is an A-label.  What is no address is compared as it is, without case.
    """
    text = unicodedata.normalize("NFC", address.strip()).lower()
    local, at, domain = text.rpartition("@")
    try:
        return f"{local}{at}{canonical_host(domain)}" if at else text
    except InvalidValue:
        return text
