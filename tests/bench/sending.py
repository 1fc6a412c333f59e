"""Storing and draining messages into smtp-sink: beside smtplib and smtp-source."""

from __future__ import annotations

from tests.bench import clients, peers
from tests.bench.collecting import Say
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import Place, Scratch, sending_room, work

__all__ = ["sending"]

WRITERS = 64
_LINE = b"A line of an ordinary letter, as long as most of them are in real mail.\r\n"


def sending(count: int, size: int, runs: int, disk: Scratch, say: Say) -> list[Figure]:
    """Figures of ``count`` messages of ``size`` bytes: stored on the disk, then drained from it."""
    drained: list[float] = []
    one: list[float] = []
    many: list[float] = []
    composed: list[float] = []
    ready: list[float] = []
    source: list[float] = []
    pooled: list[float] = []
    node: list[float] = []
    syncs: list[float] = []
    contents = [_content(number, size) for number in range(count)]
    texts = [content.partition(b"\r\n\r\n")[2].decode() for content in contents]
    for run in range(runs):
        with disk.new() as base, peers.smtp_sink(base) as port:
            place = Place(base)
            sending_room(place, port, count + 1)
            found = work(place, "send", count=count, size=size, writers=WRITERS)
            drained.append(count / found["seconds"])
            one.append(found["store_one"])
            many.append(found["store_many"])
            syncs.append(peers.sync_rate(base))
            composed.append(count / peers.smtplib_messages(port, texts))
            ready.append(count / peers.smtplib_bytes(port, contents))
            source.append(count / peers.smtp_source(port, count, size))
            pooled.append(count / clients.aiosmtplib_pool(port, contents))
            if (seconds := clients.nodemailer_pool(port, count, texts[0])) is not None:
                node.append(count / seconds)
        say(
            f"send, run {run + 1}: {drained[-1]:,.0f}/s ({found['cpu']:.2f} s CPU), stored "
            f"{one[-1]:,.0f}/s and {many[-1]:,.0f}/s, smtplib {composed[-1]:,.0f}/s "
            f"and {ready[-1]:,.0f}/s, "
            f"smtp-source {source[-1]:,.0f}/s, aiosmtplib {pooled[-1]:,.0f}/s"
            + (f", Nodemailer {node[-1]:,.0f}/s" if node else "")
        )
    if not node:
        say(f"Nodemailer is not measured: npm install --prefix {clients.NODE} nodemailer")
    what = f"send {count:,} of {size / 1000:.0f} KB, from the durable queue"
    disk_rate = Samples("the disk's fdatasync", syncs)
    return [
        Figure(what, "rate", drained, Samples("smtplib, EmailMessage each", composed), ">= 3 x"),
        Figure(what, "rate", drained, Samples("smtplib, ready bytes", ready)),
        Figure(what, "rate", drained, Samples("aiosmtplib, ready bytes, 8 connections", pooled)),
        *_beside_nodemailer(what, drained, node),
        Figure(what, "rate", drained, Samples("smtp-source, 8 sessions", source), ">= 0.33 x"),
        Figure("store a message durably, one task", "rate", one, disk_rate),
        Figure(f"store a message durably, {WRITERS} tasks", "rate", many, disk_rate),
    ]


def _beside_nodemailer(what: str, drained: list[float], node: list[float]) -> list[Figure]:
    if not node:
        return []
    return [Figure(what, "rate", drained, Samples("Nodemailer, pool of 8", node), ">= 3 x")]


def _content(number: int, size: int) -> bytes:
    head = (
        b"From: bench@example.com\r\nTo: reader%d@example.com\r\nSubject: Order %d\r\n"
        b"Date: Mon, 05 Jan 2026 07:30:00 +0000\r\nMessage-ID: <%d@example.com>\r\n\r\n"
    ) % (number, number, number)
    return head + _LINE * ((size - len(head)) // len(_LINE))
