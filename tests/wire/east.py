"""Servers of the EAST study, told anew: what somebody between client and server may say.

The cases are those of the study "Why TLS is better without STARTTLS" (USENIX Security 2021), under
the names of its fake mail server, rebuilt from its published descriptions.  In each the client is
set to ``starttls``.  ``stopped``: it has to give up, and no sign-in may be seen.  ``secured``: TLS
comes about, and nothing that was said before it may be believed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from tests.ground.scripted import Answer, Expect, Send, Silence, StartTls, Step

__all__ = ["CALL", "CASES", "CERTIFICATES", "Case", "inside"]

CALL = b"call 555-1234"
"""What an attacker wants a person to read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One server; ``{evil}`` in what it says is the address of another one of the attacker."""

    name: str
    protocol: Literal["imap", "pop3", "smtp"]
    steps: Sequence[Step]
    outcome: Literal["stopped", "secured"] = "stopped"
    certificate: str = "good"


# ------------------------------------------------------------------- IMAP

_LURE = {  # whoever goes on in the clear is let in, and seen
    rb"(?P<t>\w+) (?:AUTHENTICATE|LOGIN) .*": b"{t} OK in\r\n",
    rb"(?P<t>\w+) (?:SELECT|EXAMINE) .*": b"* 9 EXISTS\r\n{t} OK x\r\n",
}
_REFERRED = b"[REFERRAL imap://;AUTH=*@{evil}/INBOX]"


def _greets(capabilities: bytes = b"STARTTLS LOGINDISABLED", more: bytes = b"") -> Send:
    return Send(b"* OK [CAPABILITY IMAP4rev1 " + capabilities + b"] IMAP server ready.\r\n" + more)


def _answers(starttls: bytes, capability: bytes = b"{t} BAD hidden\r\n") -> Answer:
    return Answer(
        {
            rb"(?P<t>\w+) CAPABILITY": capability,
            rb"(?P<t>\w+) STARTTLS": starttls,
            **_LURE,
            rb"(?P<t>\w+) .*": b"{t} BAD x\r\n",
        }
    )


def inside(
    sign_in: bytes = b"{t} OK [CAPABILITY IMAP4rev1] in\r\n", examine: bytes = b"{t} OK x\r\n"
) -> Answer:
    """An honest server within TLS: one folder, one message."""
    return Answer(
        {
            rb"(?P<t>\w+) CAPABILITY": b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n{t} OK x\r\n",
            rb"(?P<t>\w+) AUTHENTICATE PLAIN \S+": sign_in,
            rb'(?P<t>\w+) LIST "" ""': b'* LIST (\\Noselect) "/" ""\r\n{t} OK x\r\n',
            rb'(?P<t>\w+) LIST "" "\*"': b'* LIST () "/" INBOX\r\n{t} OK x\r\n',
            rb'(?P<t>\w+) EXAMINE "INBOX"': (
                b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2] x\r\n" + examine
            ),
            rb"(?P<t>\w+) NOOP": b"{t} OK x\r\n",
        }
    )


def _upgrades(before: bytes = b"", code: bytes = b"", after: bytes = b"") -> list[Step]:
    return [
        Expect(rb"(?P<t>\w+) STARTTLS"),
        Send(before + b"{t} OK " + code + b"begin STARTTLS now.\r\n"),
        StartTls(),
        *([Send(after)] if after else []),
    ]


def _suffix(more: bytes) -> list[Step]:
    begin = b"{t} OK begin STARTTLS now.\r\n"
    return [_greets(), Expect(rb"(?P<t>\w+) STARTTLS"), Send(begin + more), Silence()]


def _preauth(capabilities: bytes) -> list[Step]:
    greeting = b"* PREAUTH [CAPABILITY IMAP4rev1" + capabilities + b"] IMAP server ready.\r\n"
    if b"STARTTLS" in capabilities:  # TLS would come about, and the sign-in be left out
        return [Send(greeting), *_upgrades(), inside()]
    return [Send(greeting), _answers(b"{t} BAD you are in\r\n")]


_BUFFERING = [
    Case(
        "B_1",
        "imap",
        _suffix(b"* CAPABILITY IMAP4REV1 AUTH=PLAIN AUTH=LOGIN\r\n2 OK capability done.\r\n"),
    ),
    Case(
        "B_2 prefix",
        "imap",
        [_greets(), *_upgrades(b"* OK [ALERT] " + CALL + b"\r\n"), inside()],
        "secured",
    ),
    Case("B_2 suffix", "imap", _suffix(b"* OK [ALERT] " + CALL + b"\r\n")),
    Case(
        "B_2 after TLS",
        "imap",
        [_greets(), *_upgrades(after=b"* OK [X] within TLS\r\n"), inside()],
        "secured",
    ),
    Case("B_3", "imap", _suffix(b"* BYE close the connection please.\r\n")),
]

_SIGN_INS = b"AUTH=PLAIN AUTH=LOGIN"
_NEGOTIATION = [
    Case("D_1", "imap", [Send(b"* OK ready.\r\n"), _answers(b"{t} BAD x\r\n")]),
    Case("D_2", "imap", [Send(b"* OK [CAPABILITY IMAP4] ready.\r\n"), _answers(b"{t} BAD x\r\n")]),
    Case(
        "D_3",
        "imap",
        [
            Send(b"* OK ready.\r\n"),
            _answers(b"{t} BAD x\r\n", b"* CAPABILITY IMAP4\r\n{t} OK x\r\n"),
        ],
    ),
    Case(
        "L_1_A",
        "imap",
        [
            _greets(b"STARTTLS LOGIN-REFERRALS"),
            *_upgrades(),
            inside(sign_in=b"{t} NO " + _REFERRED + b" try another server.\r\n"),
        ],
    ),
    Case(
        "L_1_B",
        "imap",
        [
            _greets(b"STARTTLS LOGIN-REFERRALS"),
            *_upgrades(),
            inside(sign_in=b"{t} OK " + _REFERRED + b" there is another server.\r\n"),
        ],
        "secured",
    ),
    Case("M_1_A", "imap", _preauth(b" MAILBOX-REFERRALS")),
    Case("M_1_B", "imap", [_greets(), *_upgrades(), inside()], certificate="wronghost"),
    Case(
        "M_2_A",
        "imap",
        [
            _greets(b"STARTTLS MAILBOX-REFERRALS"),
            *_upgrades(),
            inside(examine=b"{t} NO " + _REFERRED + b" it is elsewhere.\r\n"),
        ],
    ),
    Case(
        "M_2_B",
        "imap",
        [_greets(b"STARTTLS MAILBOX-REFERRALS"), *_upgrades(), inside()],
        certificate="wronghost",
    ),
    Case("O_1", "imap", [_greets(_SIGN_INS), _answers(b"{t} BAD not supported.\r\n")]),
    Case("O_2", "imap", [_greets(b"STARTTLS " + _SIGN_INS), _answers(b"{t} NO not now.\r\n")]),
    Case("O_3", "imap", [_greets(b"STARTTLS " + _SIGN_INS), _answers(b"{t} BAD not now.\r\n")]),
    Case("O_4", "imap", [_greets(b"STARTTLS " + _SIGN_INS), _answers(b"+ go on.\r\n")]),
    Case("P", "imap", _preauth(b" STARTTLS LOGINDISABLED")),
    Case("P_1", "imap", _preauth(b"")),
    Case("P_2", "imap", _preauth(b" LOGINDISABLED")),
    Case("P_3", "imap", _preauth(b" STARTTLS " + _SIGN_INS)),
    Case("P_4", "imap", _preauth(b" " + _SIGN_INS)),
    Case("P_5", "imap", _preauth(b" STARTTLS")),
]

_UNTAGGED = {
    "01_list": b'* LIST () "/" evil',
    "02_lsub": b'* LSUB () "/" evil',
    "03_status_1": b"* STATUS evil (MESSAGES 718001 UIDNEXT 718003)",
    "03_status_2": b"* STATUS INBOX (MESSAGES 718001 UIDNEXT 718003 UIDVALIDITY 718005)",
    "04_search": b"* SEARCH 1 2 3",
    "05_flags": b"* FLAGS (evil)",
    "06_exists": b"* 718001 EXISTS",
    "07_recent": b"* 718002 RECENT",
    "08_expunge": b"* 1 EXPUNGE",
    "09_fetch": b"* 1 FETCH (UID 1 FLAGS (evil) BODY[] {4}\r\nevil)",
}
_TAMPERING = [
    Case(f"{name} after greeting", "imap", [_greets(more=line + b"\r\n"), *_upgrades(), inside()],
         "secured")
    for name, line in _UNTAGGED.items()
] + [
    Case(f"{name} before STARTTLS", "imap", [_greets(), *_upgrades(line + b"\r\n"), inside()],
         "secured")
    for name, line in _UNTAGGED.items()
] + [
    Case(
        "01_referral",
        "imap",
        [_greets(more=b"* OK [REFERRAL imaps://{evil}] ...\r\n"), *_upgrades(), inside()],
        "secured",
    )
]  # fmt: skip

_SPOOFED = {"01_alert": b"[ALERT]", "02_badcharset": b"[BADCHARSET (X)]", "03_parse": b"[PARSE]"}
_UI = [
    Case(
        f"greeting NO {name}",
        "imap",
        [Send(b"* NO " + code + b" " + CALL + b"\r\n"), _answers(b"{t} BAD x\r\n")],
    )
    for name, code in _SPOOFED.items()
] + [
    Case(
        f"greeting OK {name}",
        "imap",
        [
            Send(b"* OK " + code + b" " + CALL + b"\r\n"),
            Expect(rb"(?P<t>\w+) CAPABILITY"),
            Send(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n{t} OK x\r\n"),
            *_upgrades(),
            inside(),
        ],
        "secured",
    )
    for name, code in _SPOOFED.items()
] + [
    Case(
        "starttls OK 01_alert",
        "imap",
        [_greets(), *_upgrades(code=b"[ALERT] " + CALL + b" "), inside()],
        "secured",
    )
]  # fmt: skip

# ------------------------------------------------------------------- POP3


def _pop3(stls: bytes, capa: bytes = b"+OK\r\nUSER\r\nSASL PLAIN LOGIN\r\n.\r\n") -> list[Step]:
    table = {
        b"CAPA": capa,
        b"STLS": stls,
        rb"AUTH.*|USER .*|PASS .*|STAT": b"+OK\r\n",
        rb".*": b"-ERR x\r\n",
    }
    return [Send(b"+OK POP3 server ready.\r\n"), Answer(table)]


_WITH_STLS = b"+OK\r\nSTLS\r\nSASL PLAIN LOGIN\r\n.\r\n"
_POP3 = [
    Case("B_1", "pop3", _pop3(b"+OK begin\r\n+OK\r\nSASL PLAIN\r\n.\r\n", _WITH_STLS)),
    Case("B_2", "pop3", _pop3(b"+OK begin\r\n-ERR " + CALL + b"\r\n", _WITH_STLS)),
    Case("O_1", "pop3", _pop3(b"-ERR not supported.\r\n")),
    Case("O_2", "pop3", _pop3(b"-ERR not now.\r\n", _WITH_STLS)),
    Case("O_3", "pop3", _pop3(b"-ERR not supported.\r\n", b"-ERR hidden\r\n")),
    Case("O_4", "pop3", _pop3(b"+ something else\r\n", _WITH_STLS)),
    Case("X_1", "pop3", _pop3(b"-ERR not supported.\r\n", b"+OK\r\nSASL CRAM-MD5 PLAIN\r\n.\r\n")),
]

# ------------------------------------------------------------------- SMTP


def _smtp(starttls: bytes, ehlo: bytes = b"250-x\r\n250 STARTTLS\r\n") -> list[Step]:
    table = {
        rb"EHLO .*": ehlo,
        rb"HELO .*": b"250 x\r\n",
        b"STARTTLS": starttls,
        rb"AUTH .*": b"235 in\r\n",
        rb".*": b"502 x\r\n",
    }
    return [Send(b"220 SMTP server ready.\r\n"), Answer(table)]


_WITHOUT = b"250-x\r\n250 AUTH PLAIN LOGIN\r\n"
_SMTP = [
    Case("B_1", "smtp", _smtp(b"220 begin\r\n250-x\r\n250 AUTH PLAIN LOGIN\r\n")),
    Case("D_1", "smtp", _smtp(b"500 unknown\r\n", b"500 unknown\r\n")),
    Case("O_1", "smtp", _smtp(b"502 not implemented\r\n", _WITHOUT)),
    Case("O_2", "smtp", _smtp(b"454 not available\r\n")),
    Case("O_3", "smtp", _smtp(b"502 not implemented\r\n")),
    Case("O_4", "smtp", _smtp(b"354 do something else\r\n")),
    Case("X_1", "smtp", _smtp(b"502 not implemented\r\n", b"250-x\r\n250 AUTH CRAM-MD5 PLAIN\r\n")),
]

# ------------------------------------------------------------------- certificates

_UPGRADE: dict[str, list[Step]] = {
    "imap": [_greets(), *_upgrades(), inside()],
    "pop3": [
        Send(b"+OK\r\n"), Expect(b"CAPA"), Send(_WITH_STLS), Expect(b"STLS"), Send(b"+OK\r\n"),
        StartTls(), Answer({rb".*": b"+OK\r\n"}),
    ],
    "smtp": [
        Send(b"220 x\r\n"), Expect(rb"EHLO .*"), Send(b"250-x\r\n250 STARTTLS\r\n"),
        Expect(b"STARTTLS"), Send(b"220 go\r\n"), StartTls(), Answer({rb".*": b"250 x\r\n"}),
    ],
}  # fmt: skip
CERTIFICATES = [
    Case(f"certificate {kind}", protocol, steps, certificate=kind)  # type: ignore[arg-type]
    for protocol, steps in _UPGRADE.items()
    for kind in ("wronghost", "expired", "selfsigned", "unknown")
]
"""Each protocol with each certificate that proves nothing; ``unknown`` is of another authority."""

CASES = [*_BUFFERING, *_NEGOTIATION, *_TAMPERING, *_UI, *_POP3, *_SMTP, *CERTIFICATES]
"""IMAP: buffering 5 (the study's 3, of which one has three parts), negotiation 19, tampering 21, user
interface 7; POP3 7; SMTP 7; certificates 12: 78."""
