"""A grant: one sign-in at an authorization server, for which client, as whom, for what."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Final, Literal

from postroom.credentials.types.addresses import origin
from postroom.net.destination import https_line
from postroom.net.tls import Tls

__all__ = ["BEARER", "FlowName", "Grant"]

FlowName = Literal["client_credentials", "device_flow", "authorization_code"]

BEARER: Final = "bearer+"
"""What stands before a destination to which an access token may go."""


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """What a connection needs a token for.

    ``authority`` is an https URL without a slash at its end; ``account`` who signs in (an address;
    empty for the client itself, and for whoever comes); ``credential`` the record with the
    client's secrets, empty for a public client; ``named`` the endpoints that record names itself, by
    their names in the metadata (pairs); ``entra`` whether the server has Entra's layout (None: by
    its host); ``tls`` and ``proxy`` those of the authorization server.

    Grants with the same ``sign_in`` share one sign-in, whatever protocol asks; each of its ``scopes``
    has an access token of its own.  What an application gets for itself belongs to the record whose
    secret it was got with: two records of one client have destinations of their own.
    """

    flow: FlowName
    authority: str
    client_id: str
    scopes: tuple[str, ...]
    account: str = ""
    credential: str = ""
    redirect_uri: str = ""
    named: tuple[tuple[str, str], ...] = ()
    entra: bool | None = None
    tls: Tls = Tls()  # noqa: RUF009  # it is frozen
    proxy: tuple[str, int] | None = None

    @property
    def personal(self) -> bool:
        """Whether a person has to sign in once."""
        return self.flow != "client_credentials"

    @property
    def token_line(self) -> str:
        """The destination of the client's secrets and of refresh tokens.

        Discovery accepts no endpoint of another origin than the authority's, so this is known
        before it.
        """
        return self._line(dict(self.named).get("token_endpoint") or self.authority)

    @property
    def revocation_line(self) -> str:
        """The destination of tokens that are revoked: the same, unless the record names another."""
        url = dict(self.named).get("revocation_endpoint")
        return self._line(url) if url else self.token_line

    def line_of(self, url: str) -> str:
        """The destination of what is sent to this endpoint."""
        revokes = url == dict(self.named).get("revocation_endpoint")
        return self.revocation_line if revokes else self.token_line

    def _line(self, url: str) -> str:
        return https_line(*origin(url), self.tls, self.proxy)

    @property
    def sign_in(self) -> str:
        """The key of the sign-in: hex, the same for two grants that one sign-in serves."""
        who = self.account.casefold() if self.personal else f"with {self.credential.casefold()}"
        parts = [self.personal, self.authority, self.client_id, who]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def label(self) -> str:
        """How people are told of it: ``orders@example.com at https://login.example.com/tenant``."""
        return f"{(self.account if self.personal else '') or self.client_id} at {self.authority}"
