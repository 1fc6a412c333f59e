"""The ground: real servers for mail and for sign-in, a fault proxy and a scripted server."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import Self

from tests.ground.courier import Courier
from tests.ground.daemons import RunFolder, Unavailable
from tests.ground.dovecot import Dovecot, Instance
from tests.ground.exim import Exim
from tests.ground.graph import GraphServer
from tests.ground.maildir import arrived, read
from tests.ground.oauth import AuthorizationServer, Client
from tests.ground.pki import Pki, make_pki
from tests.ground.postfix import Postfix, start_postfix
from tests.ground.users import DOMAIN, User

__all__ = [
    "DOMAIN",
    "AuthorizationServer",
    "Client",
    "Courier",
    "Dovecot",
    "Exim",
    "GraphServer",
    "Ground",
    "Instance",
    "Pki",
    "Postfix",
    "Unavailable",
    "User",
    "arrived",
    "make_pki",
    "read",
]


class Ground:
    """Every server, started when first asked for; `stop()` or the end of `with` ends them all.

    What cannot run here raises Unavailable, which pytest shows as a skip.
    """

    def __init__(self) -> None:
        """Make the run folder and the certificates; no server yet."""
        self._run = RunFolder()
        self.folder = self._run.path
        self.pki = make_pki(self.folder / "pki")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @cached_property
    def dovecot(self) -> Dovecot:
        """IMAP, POP3, LMTP and the users."""
        return Dovecot(self._run, self.pki)

    @cached_property
    def postfix(self) -> Postfix:
        """SMTP: relay and submission into Dovecot."""
        return start_postfix(self._run, self.pki, self.dovecot)

    @cached_property
    def oauth(self) -> AuthorizationServer:
        """Sign-in by OAuth, in Entra's address layout."""
        return AuthorizationServer(self._run, self.pki)

    @cached_property
    def oauth_dovecot(self) -> Instance:
        """Dovecot that takes tokens of `oauth` by XOAUTH2 and OAUTHBEARER, and passwords too."""
        return self.dovecot.with_tokens(self.oauth)

    @property
    def oauth_postfix(self) -> Postfix:
        """The same Postfix, whose ports `tokens` and `tokens_tls` take tokens by that Dovecot."""
        _ = self.oauth_dovecot
        return self.postfix

    @cached_property
    def graph(self) -> GraphServer:
        """Microsoft Graph's mail over the mailboxes of `dovecot`; it sends by `postfix`."""
        return GraphServer(self.pki, self.dovecot, self.postfix)

    @property
    def oauth_graph(self) -> GraphServer:
        """The same, and it takes the tokens of `oauth`."""
        self.graph.trusts(self.oauth)
        return self.graph

    @cached_property
    def courier(self) -> Courier:
        """IMAP and POP3 on a second server, with people of its own."""
        return Courier(self._run, self.pki)

    @cached_property
    def exim(self) -> Exim:
        """SMTP: submission on a second server, with people of its own."""
        return Exim(self._run, self.pki)

    def user(self, password: str | None = None, *, name: str | None = None) -> User:
        """A fresh user; short for `dovecot.user`."""
        return self.dovecot.user(password, name=name)

    def stop(self) -> None:
        """End all servers and remove the run folder."""
        if "graph" in self.__dict__:
            self.graph.stop()
        self._run.stop()
