"""The gauges and lints see what they are for, and leave the rest alone."""

from __future__ import annotations

import sys

import pytest

from tests.unit.house import gauges, lints
from tests.unit.house.tree import parse

GOOD = '"""One line."""\n__all__ = ["f"]\n'


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        (GOOD + "def f(): ...", 0),
        ('"""One line."""\ndef f(): ...', 1),
        ('"""One line."""\n__all__ = []\ndef f(): ...', 1),
        ('"""One line."""\n__all__ = []\ndef _f(): ...', 0),
        ('"""One line."""\n__all__ = ["g"]', 1),
        ('"""One line."""\n__all__ = ["g"]\ntry:\n    import g\nexcept ImportError:\n    g = 1', 0),
        ('"""One line."""\n__all__ = [*other]', 1),
        ("__all__ = []", 1),
        ('"""One line that\ngoes on."""\n__all__ = []', 1),
        ('"""One line.\n\nThen more."""\n__all__ = []', 0),
    ],
)
def test_words_and_exports_are_read(text: str, findings: int) -> None:
    module = parse(text)
    found = [*gauges.missing_words(module), *gauges.false_exports(module)]
    assert len(found) == findings, found


def long(lines: int) -> str:
    return "def f():\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("text", "over"),
    [
        (long(60), 0),
        (long(61), 1),
        ("# gauge: a table of states, whole on one page\n" + long(61), 0),
        ("# gauge: no\n" + long(61), 1),
        ("#\n" * 6 + long(61).replace(":\n", ":  # gauge: one table of states\n", 1), 0),
        ("x = 1\n" * 401, 1),
        ("class C:\n" + "".join(f"    def f{n}(self): ...\n" for n in range(16)), 1),
        ("class C:\n" + "    def f(self): ...\n" * 16, 0),
    ],
)
def test_gauges_measure_and_hear_reasons(text: str, over: int) -> None:
    found = gauges.figures([parse(text)]).over()
    assert len(found) == over, found


@pytest.mark.parametrize(("sizes", "p90"), [([], 0), ([7], 7), (list(range(1, 11)), 9)])
def test_percentile(sizes: list[int], p90: int) -> None:
    assert gauges.percentile(sizes, 90) == p90


@pytest.mark.parametrize(
    "text",
    [
        "import socket\nsocket.socket()",
        "import socket as s\ns.create_connection(('h', 1))",
        "from asyncio import open_connection as dial\nasync def f(): await dial('h', 1)",
        "async def f(loop): await loop.create_connection(P, 'h', 1)",
        "import asyncio\nasync def f(): await asyncio.get_running_loop().start_tls(t, p, c)",
        "import ssl\nssl.create_default_context()",
        "from ssl import SSLContext\nSSLContext()",
        "import ssl\ncontext.verify_mode = ssl.CERT_NONE",
        "from ssl import CERT_NONE\nx = CERT_NONE",
        "import ssl\nssl._create_unverified_context()",
        "import smtplib",
        "from http import client",
        "from urllib.request import urlopen",
        "def f():\n    import httpx2",
    ],
)
def test_a_way_out_is_seen(text: str) -> None:
    """T61: a seeded violation of each kind."""
    assert list(lints.ways_out(parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "import socket\ndef f(sock: socket.socket) -> None: ...",
        "import ssl\ndef f(context: ssl.SSLContext) -> None: ...",
        "async def f(pump): await pump.start_tls(context)",
        "async def f(loop, sock): await loop.create_connection(P, sock=sock)",
        "from postroom.net import dial\nasync def f(): await dial.dial('h', 1)",
        "import http",
    ],
)
def test_what_is_no_way_out_is_left_alone(text: str) -> None:
    assert not list(lints.ways_out(parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "import httpcore2\nhttpcore2.AsyncConnectionPool()",
        "from httpcore2 import AsyncConnectionPool as Pool\nPool(http2=True)",
        "import httpcore2\nhttpcore2.request('GET', 'https://a.test')",
        "import httpcore2\nhttpcore2.AnyIOBackend()",
        "def f(client): client.get('u', verify=False)",
        "def f(client): client.get('u', follow_redirects=True)",
        "Client(trust_env=True)",
    ],
)
def test_a_library_that_dials_by_itself_is_seen(text: str) -> None:
    """T61: in every room, the one that may dial too."""
    assert list(lints.own_sockets(parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "import httpcore2\nhttpcore2.AsyncConnectionPool(network_backend=ours)",
        "import httpcore2\nclass Backend(httpcore2.AsyncNetworkBackend): ...\nBackend()",
        "verify(passphrase, True)",
    ],
)
def test_our_own_sockets_are_left_alone(text: str) -> None:
    assert not list(lints.own_sockets(parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "def f(tx, n): tx.execute(f'DELETE FROM {n}')",
        "def f(tx, n): tx.one('SELECT * FROM %s' % n)",
        "def f(tx, n): tx.all('SELECT * FROM ' + n)",
        "def f(tx, n): tx.value('SELECT {}'.format(n))",
        "def f(tx, n): tx.all(' '.join(n))",
        "def f(tx, n):\n    sql = 'SELECT 1'\n    sql += n\n    tx.all(sql)",
        "def f(tx, n):\n    sql = f'SELECT {n}'\n    tx.all(sql)",
        "def f(tx, sql): tx.all(sql)",
        "def f(tx, n):\n    for sql in ('SELECT 1', f'SELECT {n}'): tx.execute(sql)",
        "def f(tx, texts):\n    for sql in texts: tx.execute(sql)",
        "def f(self, n): self._tx.all(f'SELECT {n}')",
        "query = 'SELECT 1 FROM x'",
        "from postroom.db import Queue\ndef f(name): Queue(name)",
        "from postroom.db import Queue\ndef f(name): Queue('outbox', ready=f'x = {name}')",
    ],
)
def test_built_sql_is_seen(text: str) -> None:
    """The rule about SQL, by seeded violations."""
    assert list(lints.built_sql(parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "def f(tx): tx.execute('DELETE FROM x WHERE id = :id', id=1)",
        "def f(tx): tx.execute('DELETE FROM x'\n    ' WHERE id = 1')",
        "def f(tx): tx.one(_BY_NAME, name=1)",
        "def f(tx, own): tx.one(_MINE if own else _ALL)",
        "def f(tx): tx.one(CLAIM[tx.dialect])",
        "def f(tx, own):\n    sql = 'SELECT 1'\n    if own: sql = 'SELECT 2'\n    tx.one(sql)",
        "def f(tx):\n    for sql in ('DELETE FROM x', 'DELETE FROM y'): tx.execute(sql)",
        "def f(tx):\n    for sql in _PURGE: tx.execute(sql)",
        "def f(other, n): other.execute(f'{n}')",
        "_BY_NAME = 'SELECT 1 FROM x'",
        "from postroom.db import Queue\nQ = Queue('outbox', ready=\"state = 'queued'\")",
    ],
)
def test_sql_that_is_text_is_left_alone(text: str) -> None:
    assert not list(lints.built_sql(parse(text)))


def test_a_reveal_is_seen_wherever_it_stands() -> None:
    """The wall around secrets, by seeded violations."""
    assert len(list(lints.reveals(parse("a.reveal()\nmap(b.reveal, c)\nreveal = 1")))) == 2


def test_imports_are_read_as_packages() -> None:
    module = parse("import os, yaml.nodes\nfrom pydantic import BaseModel\nfrom . import x")
    assert set(lints.third_party(module, sys.stdlib_module_names)) == {"yaml", "pydantic"}
