"""F10: a scripted server answers every step in every odd way; the outbox says what the table says."""

from __future__ import annotations

import functools
import ssl
from typing import Final

import pytest

from postroom.connections import effective
from postroom.protocols.base import Limits
from tests.faults.dose import minutes
from tests.ground.scripted import Answer, Expect, ScriptedServer, Send, Silence, StartTls, Step
from tests.journeys.outgoing import Outgoing

pytestmark = pytest.mark.timeout(minutes(2, 5, 10))

REPLIES: Final = {
    "454": (b"454 4.7.0 TLS not available due to temporary reason\r\n", 0.0),
    "4yz": (b"451 4.3.0 not now\r\n", 0.0),
    "4yz in lines": (b"450-4.7.1 slow\r\n450-4.7.1 down\r\n450 4.7.1 please\r\n", 0.0),
    "5yz": (b"550 5.7.1 no\r\n", 0.0),
    "5yz in lines": (b"554-5.7.1 no\r\n554 5.7.1 and again no\r\n", 0.0),
    "421": (b"421 4.3.2 going down\r\n", 0.0),
    "no code": (b"what?\r\n", 0.0),
    "another digit": (b"999 eh\r\n", 0.0),
    "lines of two codes": (b"250-ok\r\n550 no\r\n", 0.0),
    "half a line": (b"25", 0.0),
    "late": (b"", 0.2),
    "never": (b"", 60.0),
}
"""What is said, and after how many seconds; with no words of its own it is the right answer."""

DEFER: Final = "deferred"
NOT_YET: Final = dict.fromkeys(REPLIES, DEFER) | {"late": "sent"}
"""Nothing of a message is on the wire: no fault of the message's, whatever the server says."""
BY_DIGIT: Final = NOT_YET | {"5yz": "failed", "5yz in lines": "failed"}
"""The first digit decides (RFC 5321, 4.2.1); 421 and nonsense end the connection before the content."""
IN_DOUBT: Final = BY_DIGIT | dict.fromkeys(
    ("no code", "another digit", "lines of two codes", "half a line", "never"), "ambiguous"
)
"""Behind the final dot what is no answer leaves the message in doubt (RFC 1047); 421 is a refusal."""

TABLE: Final = {
    "banner": NOT_YET,
    "EHLO": NOT_YET,
    "STARTTLS": NOT_YET,
    "EHLO in TLS": NOT_YET,
    "AUTH": NOT_YET,
    "MAIL": BY_DIGIT,
    "RCPT": BY_DIGIT,
    "DATA": BY_DIGIT,
    "content": IN_DOUBT,
}
"""What becomes of a recipient, by the step that is answered oddly, and by how."""

RIGHT: Final = {
    "banner": b"220 odd\r\n",
    "EHLO": b"250-odd\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n",
    "EHLO in the clear": b"250-odd\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
    "STARTTLS": b"220 go\r\n",
    "EHLO in TLS": b"250-odd\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n",
    "AUTH": b"235 in\r\n",
    "MAIL": b"250 ok\r\n",
    "RCPT": b"250 ok\r\n",
    "DATA": b"354 go\r\n",
    "content": b"250 taken\r\n",
}


IN_TLS: Final = ("STARTTLS", "EHLO in TLS")
"""What is answered oddly where the connection wants STARTTLS."""
SILENT: Final = ("half a line", "never")
ALONE: Final = ("454", "4yz", "4yz in lines", "5yz", "5yz in lines", "late")
"""What is said of one recipient concerns that one only; the others are sent."""


def _says(step: str, odd: str, reply: str) -> list[Step]:
    if step != odd:
        return [Send(RIGHT[step])]
    words, seconds = REPLIES[reply]
    steps: list[Step] = [Silence(seconds)] if seconds else []
    return [*steps, Send(words or RIGHT[step])]


def server(odd: str, reply: str, tls: ssl.SSLContext) -> ScriptedServer:
    """One connection for one message to two people; the first one's RCPT is the odd one."""
    refused = reply[:3] in ("454", "4yz", "5yz")
    steps: list[Step] = _says("banner", odd, reply)
    if odd in IN_TLS:
        steps += [Expect(rb"EHLO .*"), *_says("EHLO in the clear", odd, reply)]
        steps += [Expect(rb"STARTTLS"), *_says("STARTTLS", odd, reply)]
        if odd == "STARTTLS" and reply != "late":
            return ScriptedServer([*steps, _OBLIGING])
        steps.append(StartTls())
    for step, pattern in (
        ("EHLO in TLS" if odd in IN_TLS else "EHLO", rb"EHLO .*"),
        ("AUTH", rb"AUTH PLAIN .*"),
        ("MAIL", rb"MAIL FROM.*"),
        ("RCPT", rb"RCPT TO.*"),
        ("other", rb"RCPT TO.*"),
        ("DATA", rb"DATA"),
    ):
        steps.append(Expect(pattern))
        if refused and odd == "MAIL" and step in ("RCPT", "other", "DATA"):
            steps.append(Send(b"503 5.5.1 MAIL first\r\n"))
        else:
            steps += [Send(RIGHT["RCPT"])] if step == "other" else _says(step, odd, reply)
    if refused and odd in ("MAIL", "DATA"):  # no content comes
        return ScriptedServer([*steps, _REST], [Silence()], tls=tls, starttls=True)
    steps += [Expect(rb"(?s).*", until=b"\r\n.\r\n"), *_says("content", odd, reply)]
    return ScriptedServer([*steps, _REST], [Silence()], tls=tls, starttls=True)


_OBLIGING: Final = Answer(
    {
        rb"EHLO .*": RIGHT["EHLO in the clear"],
        rb"AUTH .*": RIGHT["AUTH"],
        rb"QUIT": b"221 bye\r\n",
        rb"DATA": RIGHT["DATA"],
        rb".*": b"250 ok\r\n",
    }
)
"""Whoever refused to begin TLS takes everything in the clear."""


def _more(there: ScriptedServer) -> list[bytes]:
    """The commands beyond a greeting, the wish for TLS and a goodbye."""
    words = [line.partition(b" ")[0] for line in there.transcript.to_server.splitlines()]
    return [word for word in words if word not in (b"EHLO", b"STARTTLS", b"QUIT")]


_REST: Final = Answer({rb"QUIT": b"221 bye\r\n", rb"RSET": b"250 ok\r\n", rb".*": b""})


@pytest.mark.parametrize("step", TABLE)
async def test_what_is_made_of_every_answer(
    post: Outgoing, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: temporary is tried again, permanent is not, and what is no answer is not believed."""
    await post.service()
    wrong: list[str] = []
    for reply, expected in TABLE[step].items():
        # it binds the steps that answer rightly, too
        seconds = 1.5 if reply in SILENT else 20.0
        limits = functools.partial(Limits, reply_timeout=seconds)
        monkeypatch.setattr(effective, "Limits", limits)
        async with server(step, reply, post.ground.pki.server_context()) as there:
            security, trust = ("starttls", "ground-ca") if step in IN_TLS else ("none", "")
            side = {"port": str(there.port), "security": security, "trust": trust}
            await post.room.connections.set("acme", {"outgoing": side}, rebind=True)
            item = await post.store(post.other.address, post.user.address)
            await post.drain()
            there.complaints.clear()  # a client that hangs up on nonsense keeps to no script
            if step == "STARTTLS" and reply != "late":
                wrong += [f"{step} answered with {reply}: then {said!r}" for said in _more(there)]
        found = await post.show(item)
        first, second = (one.state for one in found.recipients)
        if first != expected:
            wrong.append(f"{step} answered with {reply}: {first}, not {expected}")
        rest = "sent" if step == "RCPT" and reply in ALONE else expected
        if second != rest:
            wrong.append(f"{step} answered with {reply}: the other one {second}, not {rest}")
        if expected in ("deferred", "ambiguous") and not found.reason:
            wrong.append(f"{step} answered with {reply}: no reason is told")
        if not found.finished:
            await post.room.outbox.cancel(item)
    assert wrong == []
