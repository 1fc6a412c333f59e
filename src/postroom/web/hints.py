"""What to do, as a page says it: the commands that hints name become links to the pages that do the same.

One table: the words of a command, what the page of it is called, where it is, and how many names follow.
A command that has no page stands in a second one: it is for the machine of the room, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

__all__ = ["COMMANDS", "THERE", "in_page", "linked"]


class _Way(NamedTuple):
    """The page of a command.  ``{}`` in ``label`` and ``path`` is the name behind it; where the hint
    gives none, the page is at ``lists``, and so it is with what the flag ``by`` says.
    """

    label: str
    path: str
    lists: str = ""
    names: int = 0
    by: str = ""


def _of(label: str, path: str, lists: str, names: int = 1) -> _Way:
    return _Way(label, path, lists, names)


COMMANDS: Final[Mapping[str, _Way]] = {
    "apply": _Way("Room file", "/room-file"),
    "audit verify": _Way("Audit, “Verify it”", "/audit"),
    "connection add": _Way("New connection", "/new/connection", names=1),
    "connection convert": _of("change {} to OAuth", "/connections/{}/convert", "/census"),
    "connection list": _Way("Connections", "/connections"),
    "connection set": _of("the settings of {}", "/connections/{}/edit", "/connections"),
    "connection show": _of("{}", "/connections/{}", "/connections"),
    "connection signin": _of("sign in for {}", "/connections/{}/sign-in", "/connections"),
    "connection signins": _Way("Connections", "/connections"),
    "connection test": _of("test {}", "/connections/{}", "/connections"),
    "connection trust": _of("trust the certificate, with the button of the test of {}", "/connections/{}",
                            "/connections", 3),
    "connection delete": _of("delete {}", "/connections/{}/delete", "/connections"),
    "credential add": _Way("New credential", "/new/credential", names=1),
    "credential delete": _of("delete {}", "/credentials/{}/delete", "/credentials"),
    "credential generate": _Way("“Generate a key pair” of the credential", "/credentials"),
    "credential list": _Way("Credentials", "/credentials"),
    "credential secret add": _of("add a secret to {}", "/credentials/{}", "/credentials"),
    "credential secret list": _of("the secrets of {}", "/credentials/{}", "/credentials"),
    "credential secret prove": _of("prove the secret of {}", "/credentials/{}", "/credentials", 2),
    "credential set": _of("the details of {}", "/credentials/{}/details", "/credentials"),
    "credential show": _of("{}", "/credentials/{}", "/credentials"),
    "credential test": _of("test {}", "/credentials/{}", "/credentials"),
    "credential trust": _of("trust the certificate, with the button of the test of {}", "/credentials/{}",
                            "/credentials", 2),
    "credential versions": _of("the versions of {}", "/credentials/{}", "/credentials"),
    "explain": _Way("the documentation", "", names=1),
    "export": _Way("Room file", "/room-file"),
    "guide google": _Way("the guide for Google", "/guide/google"),
    "guide microsoft": _Way("the guide for Microsoft", "/guide/microsoft"),
    "job cancel": _of("the run {}", "/runs/{}", "/runs"),
    "job delete": _of("delete {}", "/jobs/{}/delete", "/jobs"),
    "job list": _Way("Jobs", "/jobs"),
    "job log": _of("the log of the run {}", "/runs/{}", "/runs"),
    "job release": _of("release {}", "/jobs/{}", "/jobs"),
    "job run": _of("run {}", "/jobs/{}", "/jobs"),
    "job runs": _of("the runs of {}", "/runs?job={}", "/runs"),
    "job set": _of("the settings of {}", "/jobs/{}/edit", "/jobs"),
    "job show": _of("{}", "/jobs/{}", "/jobs"),
    "keys rotate": _Way("Keys, “Rotate”", "/keys"),
    "notify delete": _of("delete {}", "/notify/{}/delete", "/notify"),
    "notify list": _Way("Notifications", "/notify"),
    "notify set": _of("the settings of {}", "/notify/{}/edit", "/notify"),
    "outbox cancel": _of("cancel it", "/outbox/{}", "/outbox"),
    "outbox list": _Way("Outbox", "/outbox", by="service"),
    "outbox show": _of("the item", "/outbox/{}", "/outbox"),
    "service delete": _of("delete {}", "/services/{}/delete", "/services"),
    "service list": _Way("Services", "/services"),
    "service set": _of("the settings of {}", "/services/{}/edit", "/services"),
    "service show": _of("{}", "/services/{}", "/services"),
    "source delete": _of("delete {}", "/sources/{}/delete", "/sources"),
    "source ledger": _of("the ledger of {}", "/ledger?source={}", "/ledger"),
    "source list": _Way("Sources", "/sources"),
    "source run": _of("{}, “Collect now”", "/sources/{}", "/sources"),
    "source set": _of("the settings of {}", "/sources/{}/edit", "/sources"),
    "source show": _of("{}", "/sources/{}", "/sources"),
    "token add": _Way("Tokens", "/tokens"),
    "token list": _Way("Tokens", "/tokens"),
    "user list": _Way("Users", "/users"),
    "user set": _of("{}", "/users/{}", "/users"),
    "variable list": _Way("Variables", "/variables"),
    "variable set": _of("{}", "/variables/{}", "/variables", 2),
}  # fmt: skip
"""By the words of a command, without ``postroom``."""

THERE: Final[Mapping[str, int]] = {
    "audit accept": 0, "audit heads": 0, "backup restore": 1, "backup verify": 1, "exec": 0, "init": 0,
    "keys kek add": 1, "keys kek list": 0, "keys kek retire": 1, "keys kit": 0, "keys unlock": 0,
    "outbox drain": 0, "serve": 0, "upgrade": 0, "variable allow-env": 1, "worker": 0,
}  # fmt: skip
"""What only whoever is on the machine of the room can do, and how many names follow."""

_WORDS: Final = tuple(sorted({*COMMANDS, *THERE}, key=len, reverse=True))
_COMMAND: Final = re.compile(rf"`?postroom (?P<words>{'|'.join(_WORDS)})(?![\w-])")
_FLAGS: Final = re.compile(
    r"(?: (?:--?[a-z](?:[\w-]|\.(?=\w))*)(?:[ =](?!-)[^\s,;()`]+)?| \.\.\.)+"
)
_END: Final = ".:;"
_NAME: Final = re.compile(r"[^\W_][\w.@-]*")
_PLACEHOLDER: Final = re.compile(r"[A-Z][A-Z_]*")
_WORDS_OF_A_PAGE: Final = (
    (re.compile(r", or (?:use )?--force(?: to delete it)?"),
     ", or tick the box for that where you delete it"),
    (re.compile(r"Replace it with --yes"), "Tick “Replace the one there is”"),
    (re.compile(r"[;,] (?:which asks for it; )?a script gives (?:it )?(?:by )?"
                r"--(?:[\w-]|\.(?=\w))*(?: [A-Z]+)?"), ""),
    (re.compile(r"Say where it is with --also SOURCE"),
     "Rotate on the machine of the room, where its place can be named"),
    (re.compile(r"--kek or from POSTROOM_KEK"), "the setting POSTROOM_KEK of the server"),
    (re.compile(r" The command asks for it; a script gives [^)]*\)\."), ""),
    (re.compile(r" \(--rebind\)"), ""),
    (re.compile(r"--(\w+) on the command line, (\w+): true in a room file"), r"tick “\1”"),
    (re.compile(r"Let it be made with --create; in a step, create: true"), "Make it there first; in a step, "
     "create: true"),
    (re.compile(r"\(--(\w+) [A-Z]+; in a step, \w+: [A-Z]+\)"), r"(the field “\1”)"),
    (re.compile(r"; with --link any address does"), "; by an address for the owner any does"),
    (re.compile(r", then this command with --credential NAME"), ", and choose it here"),
    (re.compile(r"--via (\S+)"), r"“\1”"),
    (re.compile(r"--set ([\w.]+)=([^\s,;]+)"), r"“\1: \2”"),
    (re.compile(r"--([a-z][a-z-]*)(?: ([A-Z][A-Z_]*))?"), r"the field “\1”"),
)  # fmt: skip
"""What a hint says of the command line beside its commands, in the words of a page; the first that fits."""


def in_page(hint: object) -> Markup:
    """A hint of the house for a page, as HTML: commands are links, flags are fields; the rest is escaped."""
    return _said(str(hint), _in_words)


def linked(sentence: object) -> Markup:
    """A sentence for a page, as HTML: commands are links; the rest, which may be a stranger's, is escaped."""
    return _said(str(sentence), Markup.escape)


def _said(said: str, plain: Callable[[str], Markup]) -> Markup:
    parts, at = [], 0
    for found in _COMMAND.finditer(said):
        if found.start() < at:
            continue
        parts.append(plain(said[at : found.start()]))
        shown, at = _link(said, found)
        parts.append(shown)
    parts.append(plain(said[at:]))
    return Markup("").join(parts)


def _link(said: str, found: re.Match[str]) -> tuple[Markup, int]:
    """The link of a command, and where the text goes on behind it."""
    words = found["words"]
    way = COMMANDS.get(words)
    names, at = _names(said, found.end("words"), THERE[words] if way is None else way.names)
    flags = _FLAGS.match(said, at)
    given = "" if flags is None else flags[0]
    at += len(given) - (given.endswith((".", ":")) and not given.endswith("..."))
    if way is None:
        whole = said[found.start() : at].strip("`")
        return Markup("<code>{}</code> on the machine of the room").format(whole), _behind(said, at)
    name = names[0] if names and not _PLACEHOLDER.fullmatch(names[0]) else ""
    label, path = way.label, way.path
    if name or "{}" not in path:
        label, path = label.replace("{}", name), path.replace("{}", quote(name, safe=""))
    else:
        label, path = way.lists.strip("/").capitalize(), way.lists
    if way.by and (chosen := re.search(rf"--{way.by} ([^\s,;()`]+)", given)) is not None:
        path += f"?{way.by}={quote(chosen[1].rstrip(_END), safe='')}"
    shown = (
        Markup('<a href="{}">{}</a>').format(path, label) if path else Markup("{}").format(label)
    )
    return shown, _behind(said, at)


def _behind(said: str, at: int) -> int:
    """Behind the mark that ends a command in a text."""
    return at + (said[at : at + 1] == "`")


def _names(said: str, at: int, most: int) -> tuple[list[str], int]:
    """Up to so many names from there on, and where they end; a flag or a mark ends them."""
    names: list[str] = []
    while len(names) < most and said[at : at + 1] == " ":
        found = _NAME.match(said, at + 1)
        if found is None:
            break
        name = found[0].rstrip(_END)
        names.append(name)
        at += 1 + len(name)
        if len(name) < len(found[0]):
            break
    return names, at


def _in_words(text: str) -> Markup:
    for pattern, instead in _WORDS_OF_A_PAGE:
        text = pattern.sub(instead, text)
    return Markup("{}").format(text)
