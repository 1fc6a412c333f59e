"""Other clients as peers: imapclient, poplib, aiosmtplib and Nodemailer, each in its usual loop."""

from __future__ import annotations

import asyncio
import os
import poplib
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiosmtplib
import imapclient

from tests.bench.rooms import ROOT

__all__ = ["aiosmtplib_pool", "imapclient_all", "nodemailer_pool", "poplib_all"]

NODE: Final = ROOT / ".servers" / "node"
"""Where Nodemailer is looked for: ``npm install --prefix .servers/node nodemailer``."""
_AT_ONCE: Final = 500

_POOL: Final = """
const mailer = require('nodemailer'), [, port, count, text] = process.argv;
const pool = mailer.createTransport({host: '127.0.0.1', port: +port, pool: true, secure: false,
  ignoreTLS: true, maxConnections: 8, maxMessages: Infinity});
(async () => {
  const began = process.hrtime.bigint();
  await Promise.all([...Array(+count).keys()].map(n => pool.sendMail({from: 'bench@example.com',
    to: `reader${n}@example.com`, subject: `Order ${n}`, text})));
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
  pool.close();
})();
"""


def imapclient_all(base: Path, port: int, user: str, password: str) -> float:
    """Seconds to fetch every message, 500 at a time, and write each to a file of its own."""
    base.mkdir()
    began = time.perf_counter()
    client = imapclient.IMAPClient("127.0.0.1", port, ssl=False)
    client.login(user, password)
    client.select_folder("INBOX", readonly=True)
    uids = client.search(["ALL"])
    for start in range(0, len(uids), _AT_ONCE):
        found = client.fetch(uids[start : start + _AT_ONCE], ["BODY.PEEK[]"])
        for uid, answer in found.items():
            (base / f"{uid}.eml").write_bytes(answer[b"BODY[]"])
    client.logout()
    return time.perf_counter() - began


def poplib_all(base: Path, port: int, user: str, password: str) -> float:
    """Seconds to read every message with RETR, one after the other, into files."""
    base.mkdir()
    began = time.perf_counter()
    client = poplib.POP3("127.0.0.1", port)
    client.user(user)
    client.pass_(password)
    for number in range(1, client.stat()[0] + 1):
        (base / f"{number}.eml").write_bytes(b"\r\n".join(client.retr(number)[1]) + b"\r\n")
    client.quit()
    return time.perf_counter() - began


def aiosmtplib_pool(port: int, contents: Sequence[bytes], connections: int = 8) -> float:
    """Seconds of aiosmtplib for bytes that are ready, over several open connections."""

    async def all_of_them() -> float:
        waiting = iter(enumerate(contents))

        async def one() -> None:
            async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
                for number, content in waiting:
                    to = [f"reader{number}@example.com"]
                    await client.sendmail("bench@example.com", to, content)

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(connections)))
        return time.perf_counter() - began

    return asyncio.run(all_of_them())


def nodemailer_pool(port: int, count: int, text: str) -> float | None:
    """Seconds of Nodemailer's pool of 8 connections; None where it is not installed (NODE)."""
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules" / "nodemailer").is_dir():
        return None
    env = {**os.environ, "NODE_PATH": str(NODE / "node_modules")}
    words = [node, "-e", _POOL, str(port), str(count), text]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)
