"""The messages of the demo: each kind a function from chance, time and addressee to bytes."""

from __future__ import annotations

import datetime as dt
import html
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from typing import cast

from postroom.cli.demo import parts
from postroom.cli.demo.catalogue import ALERTS, FIRMS, FOREIGN, GOODS, NEWS, NOTES, PEOPLE, Foreign
from postroom.cli.demo.parts import Part, words

__all__ = ["LARGE_BYTES", "MALFORMED_SUBJECT", "Desk", "Letter", "letters"]

MALFORMED_SUBJECT = "Scan from the copier (page 3 of 3)"
LARGE_BYTES = 5_000_000
"""Size of the one large message, within a few hundred bytes."""


@dataclass
class Desk:
    """What a message is written with: chance, the time, the addressee, a number."""

    chance: random.Random
    when: dt.datetime
    to: str
    number: int

    def boundary(self) -> str:
        """A boundary that no body contains."""
        return f"=_{self.chance.getrandbits(96):024x}"

    def order(self) -> str:
        """An order number."""
        return f"{self.when.year}-{40000 + self.number * 7}"


@dataclass(frozen=True)
class Letter:
    """A kind's answer: who writes, about what, and the content."""

    sender: str
    address: str
    subject: str
    content: Part
    charset: str = "utf-8"
    headers: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    """What is special about it: ``attachment``, ``html``, ``nested``, ``malformed``, ``large``."""

    def bytes_for(self, desk: Desk) -> bytes:
        """The whole message, header first, in CRLF lines."""
        sender = words("From", self.sender, self.charset)
        domain = self.address.partition("@")[2]
        ahead = (
            f"Received: from mx.{domain} ([192.0.2.{desk.number % 250 + 1}]) by mail.demo.example"
            f"\r\n with ESMTPS id {desk.chance.getrandbits(40):010X};"
            f" {format_datetime(desk.when)}",
            f"{sender} <{self.address}>",
            f"To: <{desk.to}>",
            words("Subject", self.subject, self.charset),
            f"Date: {format_datetime(desk.when)}",
            f"Message-ID: <{desk.chance.getrandbits(64):016x}@{domain}>",
            *self.headers,
            "MIME-Version: 1.0",
        )
        return Part(ahead + self.content.headers, self.content.body).whole()


Kind = Callable[[Desk], Letter]


def _page(title: str, paragraphs: Sequence[str], picture: str = "") -> str:
    image = f'<img src="cid:{picture}" alt="" width="120">\n' if picture else ""
    inner = "\n".join(f"<p>{html.escape(line)}</p>" for line in paragraphs)
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"</head>\n<body>\n{image}<h1>{html.escape(title)}</h1>\n{inner}\n</body></html>\n"
    )


def _both(desk: Desk, title: str, lines: Sequence[str]) -> Part:
    plain = parts.text(f"{title}\n\n" + "\n".join(lines) + "\n")
    page = parts.text(_page(title, lines), "html", encoding="quoted-printable")
    return parts.multipart("alternative", desk.boundary(), [plain, page])


def _mixed(desk: Desk, content: Part, *files: Part) -> Part:
    return parts.multipart("mixed", desk.boundary(), [content, *files])


def _money(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02d} EUR"


def _basket(desk: Desk) -> tuple[list[str], int]:
    lines, total = [], 0
    for name, cents in desk.chance.sample(GOODS, desk.chance.randint(1, 4)):
        count = desk.chance.randint(1, 3)
        total += cents * count
        lines.append(f"{count} x {name}: {_money(cents * count)}")
    return [*lines, f"Total: {_money(total)}"], total


def _order(desk: Desk) -> Letter:
    """An order confirmation, text and HTML."""
    firm, domain = desk.chance.choice(FIRMS)
    lines, _ = _basket(desk)
    subject = f"Order {desk.order()} confirmed"
    content = _both(desk, subject, ["Thank you for your order.", *lines])
    return Letter(firm, f"orders@{domain}", subject, content, facts=("html",))


def _shipped(desk: Desk) -> Letter:
    """A shipping notice in plain text."""
    firm, domain = desk.chance.choice(FIRMS)
    track = f"KX{desk.chance.randrange(10**9):09d}EU"
    body = f"Order {desk.order()} is on its way.\n\nTracking number: {track}\nCarrier: Kestrel\n"
    return Letter(firm, f"shipping@{domain}", f"Order {desk.order()} has shipped", parts.text(body))


def _invoice(desk: Desk) -> Letter:
    """An invoice: a line of text and a PDF."""
    firm, domain = desk.chance.choice(FIRMS)
    lines, total = _basket(desk)
    name = f"INV-{desk.order()}"
    sheet = parts.pdf([f"{firm}  Invoice {name}", "", *lines])
    content = _mixed(
        desk,
        parts.text(f"Please find invoice {name} attached.\nDue in 14 days: {_money(total)}\n"),
        parts.attachment(sheet, "application/pdf", f"{name}.pdf"),
    )
    return Letter(
        f"{firm} Accounts", f"billing@{domain}", f"Invoice {name}: {_money(total)}", content,
        facts=("attachment",),
    )  # fmt: skip


def _newsletter(desk: Desk) -> Letter:
    """A newsletter: text, and HTML with a picture inside."""
    firm, domain = desk.chance.choice(FIRMS)
    title, line = desk.chance.choice(NEWS)
    picture = parts.png(40, 20, desk.chance.randbytes(40 * 20 * 3))
    identifier = f"head.{desk.number}@{domain}"
    page = parts.text(_page(title, [line] * 3, identifier), "html", encoding="quoted-printable")
    shown = parts.multipart(
        "related",
        desk.boundary(),
        [page, parts.attachment(picture, "image/png", "head.png", inline_id=identifier)],
    )
    content = parts.multipart("alternative", desk.boundary(), [parts.text(f"{line}\n"), shown])
    leave = f"List-Unsubscribe: <https://{domain}/leave/{desk.number}>"
    listed = f"List-Id: {words('List-Id', firm).partition(': ')[2]} <news.{domain}>"
    return Letter(firm, f"news@{domain}", title, content, headers=(listed, leave), facts=("html",))


def _note(desk: Desk) -> Letter:
    """A few lines from a person."""
    (name, box), (_, domain) = desk.chance.choice(PEOPLE), desk.chance.choice(FIRMS)
    subject, line = desk.chance.choice(NOTES)
    body = f"Hello,\n\n{line}\n\nBest wishes\n{name}\n"
    content = parts.text(body, encoding="8bit" if not body.isascii() else "7bit")
    return Letter(name, f"{box}@{domain}", subject, content)


def _alert(desk: Desk) -> Letter:
    """A line from a machine."""
    subject, line = desk.chance.choice(ALERTS)
    days = "\n".join(f"{day:>10}: {desk.chance.randint(90, 240):>5}" for day in _DAYS)
    content = parts.text(f"{line}\n\n{days}\n", charset="us-ascii", encoding="7bit")
    marked = ("Auto-Submitted: auto-generated",)
    return Letter("Monitor", "monitor@ops.demo.example", subject, content, headers=marked)


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _export(desk: Desk) -> Letter:
    """A report as CSV whose file name is not ASCII."""
    rows = [f"{desk.order()};{day};{desk.chance.randint(1, 400)}" for day in _DAYS]
    table = ("order;day;pieces\r\n" + "\r\n".join(rows) + "\r\n").encode()
    name, charset = desk.chance.choice(
        (
            ("Verkäufe nach Wochentag und Filiale, vorläufige Übersicht.csv", "utf-8"),
            ("Umsätze März.csv", "iso-8859-1"),
            ("売上一覧.csv", "utf-8"),
            ("Naïve forecast – café.csv", "windows-1252"),
        )
    )
    content = _mixed(
        desk,
        parts.text("The export you asked for.\n"),
        parts.attachment(table, "text/csv; charset=utf-8", name, charset=charset),
    )
    return Letter(
        "Reports", "reports@ops.demo.example", f"Export: {name.removesuffix('.csv')}", content,
        facts=("attachment",),
    )  # fmt: skip


def _foreign(entry: Foreign) -> Kind:
    def write(desk: Desk) -> Letter:
        encoding = cast("parts.Encoding", entry.encoding)
        body = parts.text(entry.body, charset=entry.charset, encoding=encoding)
        facts: tuple[str, ...] = ()
        if desk.number % 2:
            sheet = parts.pdf([f"{entry.address} {desk.order()}"])
            file = parts.attachment(
                sheet, "application/pdf", entry.file_name, charset=_name_charset(entry.charset)
            )
            body, facts = _mixed(desk, body, file), ("attachment",)
        return Letter(entry.sender, entry.address, entry.subject, body, entry.charset, facts=facts)

    return write


def _name_charset(charset: str) -> str:
    # a stateful charset cannot be percent-encoded letter by letter
    return "utf-8" if charset == "iso-2022-jp" else charset


def _forwarded(desk: Desk) -> Letter:
    """A message that carries another, whole."""
    inner = _invoice(desk).bytes_for(desk)
    content = _mixed(desk, parts.text("See below; can you pay this?\n"), parts.nested(inner))
    return Letter(
        "Grace Lin", "grace.lin@harbourfinch.example", "Fwd: Invoice for the desks", content,
        facts=("nested", "attachment"),
    )  # fmt: skip


def _returned(desk: Desk) -> Letter:
    """A delivery status notification (RFC 3464)."""
    status = Part(
        ("Content-Type: message/delivery-status",),
        b"Reporting-MTA: dns; mail.demo.example\r\n\r\n"
        b"Final-Recipient: rfc822; sales@moved.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 No such user here\r\n",
    )
    words_for_people = parts.text("Your message to sales@moved.example could not be delivered.\n")
    content = parts.multipart(
        "report", desk.boundary(), [words_for_people, status], extra="report-type=delivery-status"
    )
    return Letter(
        "Mail Delivery System", "mailer-daemon@mail.demo.example",
        "Undelivered mail returned to sender", content, headers=("Auto-Submitted: auto-replied",),
    )  # fmt: skip


def _large(desk: Desk) -> Letter:
    """The 5 MB one: photos in an archive."""
    # base64 writes 78 bytes for 57, and a header of about 800 bytes goes ahead
    data = b"PK\x03\x04" + desk.chance.randbytes((LARGE_BYTES - 800) * 57 // 78 - 4)
    content = _mixed(
        desk,
        parts.text("The photos from the site, in full size.\n"),
        parts.attachment(data, "application/zip", "site-photos.zip"),
    )
    return Letter(
        "Hugo Fernández", "hugo.fernandez@casaoliva.example", "Photos from the site (5 MB)",
        content, facts=("attachment", "large"),
    )  # fmt: skip


def _malformed(desk: Desk) -> Letter:
    """Broken on purpose: no closing boundary, a header line without a colon, raw 8-bit subject."""
    boundary = desk.boundary()
    body = (
        f"--{boundary}\r\nContent-Type: text/plain; charset=no-such-charset\r\n\r\n"
        "The scan is attached.\r\n"
        f"--{boundary}\r\nContent-Type: application/pdf; name=scan 3.pdf; ;\r\n"
        "Content-Disposition attachment; filename=\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        "JVBERi0xLjQKJeLjz9MKMSAwIG9iago8PCAvVHlwZSAvQ2F0\r\n!!!! not base64 at all\r\n"
    ).encode()
    broken = (
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "X-Scanner this line has no colon",
        "X-Empty:",
    )
    return Letter(
        "Copier 2", "copier@ops.demo.example", MALFORMED_SUBJECT, Part(broken, body),
        headers=("Subject: Grüße vom Kopierer",), facts=("malformed", "attachment"),
    )  # fmt: skip


_SPECIAL: tuple[Kind, ...] = (
    _large, _malformed, _forwarded, _returned, *(_foreign(entry) for entry in FOREIGN),
)  # fmt: skip
_EVERYDAY: tuple[tuple[Kind, int], ...] = (
    (_order, 26), (_shipped, 16), (_invoice, 20), (_newsletter, 12), (_note, 24), (_alert, 14),
    (_export, 6), *((_foreign(entry), 5) for entry in FOREIGN),
)  # fmt: skip


def letters(chance: random.Random, count: int) -> list[Kind]:
    """``count`` kinds in the order of their dates: every special one, the rest by weight."""
    special = list(_SPECIAL[:count])
    kinds, weights = zip(*_EVERYDAY, strict=True)
    chosen = special + chance.choices(kinds, weights, k=count - len(special))
    chance.shuffle(chosen)
    return chosen
