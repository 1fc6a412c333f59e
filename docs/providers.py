"""The pages about providers: presets, registering an app, and errors of other programs."""

from __future__ import annotations

from collections.abc import Iterator

from docs.markup import page, table
from postroom.operations.explaining import refusals
from postroom.operations.guiding import PROVIDERS, flow_named, guide
from postroom.operations.presetting import presets

__all__ = ["presets_page", "refusals_page", "registering_page"]


def refusals_page() -> str:
    """What mail servers and authorization servers answer, table by table."""
    parts = []
    for one in refusals():
        rows = (
            (f"`{each.key}`", each.sentence, each.cause, each.action, each.again)
            for each in one.rows
        )
        parts += [
            f"## {one.title}",
            f"Seen {one.seen}. Sources: " + ", ".join(f"<{link}>" for link in one.sources) + ".",
            table(("Error", "Means", "Usual cause", "What to do", "Again"), rows),
        ]
    return page(
        "Errors of other programs",
        "What mail servers and authorization servers answer, whichever program asked them. Paste the "
        'whole error and it is looked up: `postroom explain "535 5.7.139 Authentication '
        'unsuccessful"`, or by `postroom explain -` from standard input. Replies of SMTP with other '
        "enhanced codes (RFC 3463), TLS, DNS and sockets are known to it as well. *Again*: whether "
        "trying the same again may help.",
        *parts,
    )


def presets_page() -> str:
    """What is known of each provider."""
    found = presets()
    parts = []
    for one in found:
        parts += [f"## {one['preset']}", f"{one['provider']}, seen {one['seen']}."]
        rows = [("IMAP", one["imap"]), ("POP3", one["pop3"]), ("SMTP", one["smtp"]),
                ("Sign-in, the best first", ", ".join(f"`{each}`" for each in one["sign_in"])),
                ("Authority", f"`{one['authority']}`" if one["authority"] else ""),
                ("Scopes", ", ".join(f"`{each}`" for each in one["scopes"])),
                ("Domains", ", ".join(one["domains"]))]  # fmt: skip
        rows += [(f"`{name}`", f"`{url}`") for name, url in one["endpoints"].items()]
        parts.append(table(("What", "Value"), [row for row in rows if row[1]]))
        parts.append("\n".join(f"- {quirk}" for quirk in one["quirks"]))
        if one["sources"]:
            parts.append("Sources: " + ", ".join(f"<{link}>" for link in one["sources"]) + ".")
    return page(
        "Presets of providers",
        "`postroom connection add NAME --preset gmail --user ADDRESS --credential NAME` fills hosts, "
        "ports, security and scopes from this table; whatever is given besides wins. `postroom "
        "credential add NAME --preset gmail` fills authority and endpoints of an app. The same is told "
        "by `postroom explain presets`.",
        *parts,
    )


def registering_page() -> str:
    """How an app is registered, for each provider and flow."""
    parts: list[str] = []
    for provider in PROVIDERS:
        for flow in ("client_credentials", "authorization_code", "device_flow"):
            if provider == "google" and flow != "authorization_code":
                continue
            wires = (("imap", "pop3", "smtp"), ("graph",)) if provider == "microsoft" else ((),)
            for some in wires:
                parts += _guide(provider, flow, some)
    return page(
        "Registering an app",
        "Whoever signs in by OAuth needs an app that is registered with the provider. These are the "
        "steps, with the values to copy; `postroom guide microsoft` and `postroom guide google` show "
        "them filled in for your mailboxes (`--connection NAME`, `--mailbox ADDRESS`), and `--script az` "
        "or `--script powershell` writes one script that does it. No secret is ever in it.",
        *parts,
    )


def _guide(provider: str, flow: str, wires: tuple[str, ...]) -> Iterator[str]:
    found = guide(provider, flow, wires=wires or ("imap", "smtp"))
    told = {"graph": "Graph"}.get(wires[0], "IMAP, POP3 and SMTP") if wires else "IMAP, POP3, SMTP"
    named = flow_named(provider, flow).removeprefix("oauth_").replace("_", " ")
    yield f"## {provider.title()}: {named}, {told}"
    yield f"Seen {found.seen}."
    for number, step in enumerate(found.steps, 1):
        yield f"{number}. **{step.title}** ({step.who}). {step.where}. {step.do}"
        if step.values:
            yield table(("Name", "Value"), [(one.name, f"`{one.text}`") for one in step.values])
        if step.note:
            yield step.note
