"""T65: the servers of the EAST study get no sign-in in the clear and are not believed before TLS."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from postroom.errors import PostroomError
from postroom.net.dial import Route
from postroom.net.tls import Tls
from postroom.protocols.base import Limits, SignIn, WireTarget
from postroom.protocols.imap import ImapStore
from postroom.protocols.imap import open_store as open_imap
from postroom.protocols.pop3 import open_store as open_pop3
from postroom.protocols.smtp import open_transport
from postroom.secret import Secret
from tests.ground.pki import Pki, make_pki
from tests.ground.scripted import Answer, ScriptedServer, Send, Silence, StartTls, Step
from tests.wire.east import CALL, CASES, Case

SECRET = "pass-word-1"
USER = SignIn("password", "user", Secret(SECRET))
QUICK = Limits(reply_timeout=0.5, connect_timeout=2)
SIGN_IN = re.compile(rb"(?m)^(?:\w+ )?(?:AUTH|AUTHENTICATE|LOGIN|USER|PASS|SELECT|EXAMINE)\b", re.I)


async def visit(case: Case, server: ScriptedServer, tls: Tls) -> ImapStore | None:
    """Open it as the case's protocol does, and look at what is there; only IMAP has a store."""
    where = WireTarget(Route("localhost", server.port), "starttls", tls, QUICK)
    if case.protocol == "smtp":
        await open_transport(where, USER)
    elif case.protocol == "pop3":
        await (await open_pop3(where, USER)).open("INBOX")
    else:
        store = await open_imap(where, USER)
        assert [folder.name for folder in await store.folders()] == ["INBOX"]
        state = await store.open("INBOX")
        assert (state.exists, state.uidvalidity, state.next_cursor) == (1, 7, "1")
        assert await store.check() is False
        return store
    return None


def filled(steps: Sequence[Step], evil: str) -> list[Step]:
    """With the address of the attacker's other server."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Send):
            step = Send(step.data.replace(b"{evil}", evil.encode()))
        elif isinstance(step, Answer):
            step = Answer({p: r.replace(b"{evil}", evil.encode()) for p, r in step.table.items()})
        found.append(step)
    return found


def in_clear(server: ScriptedServer, steps: Sequence[Step]) -> bytes:
    """What the client said before TLS came about; all, when it did not."""
    tls = next((n for n, step in enumerate(steps) if isinstance(step, StartTls)), len(steps))
    heard = server.transcript.to_server
    if server.sessions and server.sessions[0].step > tls:
        return heard[: heard.index(b"STARTTLS\r\n") + 10]
    return heard


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.protocol} {case.name}")
async def test_a_server_of_the_study(case: Case, pki: Pki, tmp_path: Path) -> None:
    """T62, T63, T64, T65: stripped, injected, signed in already, referred, tampered with."""
    kind = case.certificate if case.certificate != "unknown" else "good"
    trust = (make_pki(tmp_path) if case.certificate == "unknown" else pki).ca.read_text()
    async with ScriptedServer([Silence()]) as evil:
        steps = filled(case.steps, f"localhost:{evil.port}")
        async with ScriptedServer(
            [*steps, Silence()], tls=pki.server_context(kind), starttls=True
        ) as server:
            store: ImapStore | None = None
            error: PostroomError | None = None
            try:
                store = await visit(case, server, Tls((trust,)))
            except PostroomError as caught:
                error = caught
            clear = in_clear(server, steps)
            if store is not None:
                assert all(CALL.decode() not in alert for alert in store.alerts)
                assert store.capabilities == {"IMAP4REV1"} or case.name == "L_1_B"
                store.abandon()
        assert not evil.sessions, "a referral was followed"
    assert (error is None) == (case.outcome == "secured"), error
    if error is not None:
        assert CALL.decode() not in f"{error} {error.as_json()}"
    assert not SIGN_IN.search(clear)
    for secret in (SECRET.encode(), base64.b64encode(f"\0user\0{SECRET}".encode())):
        assert secret not in clear


def test_all_of_them_are_here() -> None:
    """The study's numbers: a case that is lost is noticed."""
    counted = Counter(case.protocol for case in CASES if case.certificate == "good")
    assert counted == {"imap": 50, "pop3": 7, "smtp": 7}
    assert len(CASES) == 78
    assert len({(case.protocol, case.name) for case in CASES}) == 78
