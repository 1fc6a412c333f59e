"""A served room with the connection ``acme`` to a mailbox of the ground, and what strangers send to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.journeys.conftest import connect

if TYPE_CHECKING:
    from tests.ground import Ground, User
    from tests.web.site import Site

__all__ = ["HOSTILE", "PAYLOADS", "furnish", "hostile", "letter"]

PAYLOADS: Final = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "\"'><svg onload=window.hit=1>",
    "</textarea></title><b onmouseover=window.hit=1>bold",
    "{{ 7*7 }}${7*7}",
    "\u202egpj.exe",
    "'onfocus='window.hit=1'autofocus='",
    "javascript:window.hit=1",
    "{{ visit.room }}{% for x in y %}${var:X}",
    "</title><style>*{background:red}</style>",
)
HOSTILE: Final = PAYLOADS[1]


def furnish(site: Site, ground: Ground) -> User:
    """Make ``acme`` in the room of a site; gives whose mailbox it is."""
    user = ground.user()
    site.do(lambda room: connect(room, ground, user))
    return user


def letter(subject: str, sender: str = "Ada <ada@partner.example>", text: str = "Hello.") -> bytes:
    """A plain message."""
    return (
        f"From: {sender}\r\nSubject: {subject}\r\nMessage-ID: <{abs(hash(subject))}@partner.example>\r\n"
        f"\r\n{text}\r\n"
    ).encode()


def hostile(outside: str) -> bytes:
    """An HTML message that would run scripts and fetch from ``outside``, with files of hostile names."""
    html = f"""<html><head><base href="{outside}/"><link rel=stylesheet href="{outside}/a.css">
<meta http-equiv=refresh content="0;url={outside}/b"><style>@import "{outside}/c.css";
body {{ background: url({outside}/d.png) }}</style></head><body background="{outside}/e.png">
<h1>Invoice 42</h1><script>window.parent.hit=1;fetch("{outside}/f")</script>
<img src="{outside}/g.gif" srcset="{outside}/h.gif 2x" alt="Logo" onerror="parent.hit=1">
<img src="cid:dot@x" alt="Dot"><svg onload="parent.hit=1"><image href="{outside}/i.png"/></svg>
<p style="background:url('{outside}/j.png')">Please pay</p>
<a href="{outside}/pay">https://bank.example</a><a href="javascript:parent.hit=1">here</a>
<form action="{outside}/k"><input name=password><button>Go</button></form>
<iframe src="{outside}/l"></iframe><video src="{outside}/m" poster="{outside}/n"></video></body></html>"""
    dot = "R0lGODlhAQABAIAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
    return (
        f'From: "{HOSTILE}" <evil@partner.example>\r\nTo: <you@ground.test>\r\nSubject: {HOSTILE}\r\n'
        "Message-ID: <evil@partner.example>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n"
        "--b\r\nContent-Type: image/gif\r\nContent-ID: <dot@x>\r\nContent-Disposition: inline\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{dot}\r\n"
        "--b\r\nContent-Type: text/html\r\n"
        'Content-Disposition: attachment; filename="../../<img src=x>.html"\r\n\r\n'
        "<script>window.hit=1</script>\r\n--b--\r\n"
    ).encode()
