"""What real SMTP servers sent to somebody, with the public report (``owner/repository#number``)."""

from __future__ import annotations

import pytest

from postroom.errors import ProtocolError
from postroom.protocols.smtp.machine import SmtpCore, parse_capabilities

__all__: list[str] = []

EHLO = [
    ("Postfix, James: AUTH= beside AUTH", "thunderbird/thunderbird-android#8715",
     b"250-x\r\n250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN LOGIN\r\n250 DSN\r\n",
     {"AUTH": ("PLAIN", "LOGIN"), "DSN": ()}),
    ("old servers: AUTH= alone", "enough-software/enough_mail#38",
     b"250-x\r\n250 AUTH=LOGIN PLAIN\r\n", {"AUTH": ("LOGIN", "PLAIN")}),
    ("1&1: STARTTLS in the last line", "zetacomponents/Mail#52",
     b"250-perfora.net Hello x [192.0.2.1]\r\n250-SIZE 69920427\r\n250 STARTTLS\r\n",
     {"SIZE": ("69920427",), "STARTTLS": ()}),
    ("a greeting that looks like a capability", "RFC 5321, 4.1.1.1: the first line is none",
     b"250-STARTTLS\r\n250 SIZE 5\r\n", {"SIZE": ("5",)}),
    ("small letters, spaces without need, an empty line", "RFC 5321 allows the first",
     b"250-x\r\n250-starttls \r\n250-  size   5\r\n250-\r\n250 pipelining\r\n",
     {"STARTTLS": (), "SIZE": ("5",), "PIPELINING": ()}),
    ("one line", "RFC 5321, 4.1.1.1", b"250 x\r\n", {}),
    ("no text at all", "RFC 5321, 4.2, allows it", b"250\r\n", {}),
    ("bare line feeds", "RFC 5321 forbids it", b"250-x\n250 SIZE 5\n", {"SIZE": ("5",)}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "offered"), [pytest.param(*rest, id=name) for name, _, *rest in EHLO]
)
def test_capabilities_of_real_servers_are_understood(
    answer: bytes, offered: dict[str, tuple[str, ...]]
) -> None:
    """Each stands for servers that other clients could not send through."""
    (whole,) = SmtpCore().receive(memoryview(answer))
    assert parse_capabilities(whole).keywords == offered


def test_a_line_without_its_code_ends_the_connection() -> None:
    """rnwood/smtp4dev#5: its capabilities had no code, and clients waited for ever."""
    with pytest.raises(ProtocolError):
        SmtpCore().receive(memoryview(b"250 Nice to meet you.\r\nSIZE\r\n"))
