"""What to do, as a page says it: no hint names a command that the page can do as well."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

import postroom
from docs.verbs import commands
from postroom import web
from postroom.web import pages
from postroom.web.hints import COMMANDS, THERE, in_page, linked

ROOT: Final = Path(postroom.__file__).parent
VERBS: Final = frozenset(name for name, _ in commands())
NO_PAGE: Final = (
    # the other doors, what is printed where the room is served, and the page itself
    "cli/", "api/", "serving/", "demo/", "web/", "settings.py", "net/listening.py",
    # the meanings of codes: of the command line's `explain` and the reference
    "operations/meanings.py", "operations/doormeanings.py", "operations/macromeanings.py",
    "operations/explaining.py",
    # programs with credentials, backups, room files and other keys: of the command line
    "operations/executing.py", "operations/backup/", "operations/roomfile.py", "operations/yamlfile.py",
    "operations/keys/keks.py", "operations/presetting.py",
    # texts of files and messages: the recovery kit, scripts, a message that is sent as a test
    "vault/kit.py", "oauth/guide_scripts.py", "operations/trying.py", "audit/outside.py",
    # the flags of commands, and a pattern
    "jobs/commands/", "jobs/received.py", "jobs/job.py",
)  # fmt: skip
"""Where texts are that no page shows."""
_FLAG: Final = re.compile(r"(?<![\w-])--[a-z]")


def hints() -> Iterator[tuple[str, str]]:
    """Every text of the source that names a command or a flag: where, and the text; names are ``acme``."""
    for path in sorted(ROOT.rglob("*.py")):
        where = str(path.relative_to(ROOT))
        if where.startswith(NO_PAGE):
            continue
        tree = ast.parse(path.read_text())
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        parts = {
            id(one)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for one in node.values
        }
        for node in ast.walk(tree):
            text = _text(node) if id(node) not in alone | parts else ""
            if _named(text) or (_FLAG.search(text) and " " in text.strip()):
                yield where, text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_part(one) for one in node.values)
    return ""


def _part(one: ast.expr) -> str:
    """A part of a text: what is put into it is a name, unless it is a noun or flags of a command."""
    if isinstance(one, ast.Constant):
        return str(one.value)
    said = ast.unparse(cast("ast.FormattedValue", one).value)
    known = {"_verb(noun)": "source", "_verb(self._noun)": "source", "noun or 'connection'": "connection",
             "self.noun": "connection", "record": "service set acme", "which": "", "flags": "",
             "roles": "", "_flag_of(credential)": "--password-from-env NAME"}  # fmt: skip
    return known.get(said, "acme")


def _named(text: str) -> str:
    """The command of the command line that a text names; empty: none."""
    for found in re.finditer(r"postroom ((?:[a-z-]+ ?){1,4})", text):
        words = found[1].split()
        for many in range(len(words), 0, -1):
            if " ".join(words[:many]) in VERBS:
                return " ".join(words[:many])
    return ""


def test_no_page_names_a_command_but_for_the_machine_of_the_room() -> None:
    found, wrong = 0, []
    for where, text in hints():
        found += bool(_named(text))
        shown = str(in_page(text)).replace("&#39;", "'")
        left = re.sub(r"<code>postroom [^<]*</code> on the machine of the room", "", shown)
        left = re.sub(r"<[^>]*>", "", left)
        if "postroom " in left or _FLAG.search(left):
            wrong.append(f"{where}: {left}")
    assert wrong == []
    assert found > 80  # it has looked at what there is


def test_each_command_of_the_table_is_one_and_leads_to_a_page_that_is_there() -> None:
    routes = [path for page in pages.PAGES for path in cast("Any", page).ROUTES]
    there = [re.sub(r"\{\w+\}", "[^/]+", one.path) for one in routes if one.method == "GET"]
    wrong = {one for one in {*COMMANDS, *THERE} if one not in VERBS and one.split()[0] not in VERBS}
    assert wrong == set()
    for words, way in COMMANDS.items():
        for path in {way.path, way.lists} - {""}:
            bare = path.partition("?")[0].replace("{}", "acme")
            assert any(re.fullmatch(one, bare) for one in there), (words, path)
        assert way.lists or "{}" not in way.path, words


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Give it a new one: postroom credential set acme.eu. Then go on.",
         'Give it a new one: <a href="/credentials/acme.eu/details">the details of acme.eu</a>. Then go on.'),
        ("Start one (postroom worker --role mail), or wait.",
         "Start one (<code>postroom worker --role mail</code> on the machine of the room), or wait."),
        ("See them: postroom outbox list --service out --unsettled",
         'See them: <a href="/outbox?service=out">Outbox</a>'),
        ("Sign in with: postroom connection signin NAME",
         'Sign in with: <a href="/connections">Connections</a>'),
        ("Change those first, or use --force to delete it.",
         "Change those first, or tick the box for that where you delete it."),
    ],
)  # fmt: skip
def test_what_a_page_says(said: str, shown: str) -> None:
    assert in_page(said) == shown


@pytest.mark.parametrize("payload", ["<script>x</script>", "\"'><img onerror=x>", "{{ 7*7 }}"])
def test_the_text_of_a_stranger_is_escaped(payload: str) -> None:
    """T47: whatever stands around a command."""
    for shown in (in_page, linked):
        told = str(shown(f"{payload} postroom credential set {payload} --yes {payload}"))
        assert "<script" not in told
        assert "<img" not in told
    assert str(linked("Subject: --urgent")) == "Subject: --urgent"


def test_every_hint_and_sentence_of_an_error_passes_through_it() -> None:
    """A template that shows one as it came would show commands to whoever has none."""
    bare = []
    for path in (Path(web.__file__).parent / "templates").rglob("*.html"):
        bare += [
            f"{path.name}: {found[0]}"
            for found in re.finditer(
                r"\{\{ (?:work\.told\()?[\w.]*(?:error\.(?:hint|sentence)|advice\.text|\.reason)\)? \}\}",
                path.read_text(),
            )
        ]
    assert bare == []
