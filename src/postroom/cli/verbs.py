"""How verbs are declared, and how their help reads: short, whole sentences, every flag with its value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from postroom.cli.options import EVERY_VERB
from postroom.cli.wronguse import no_such_verb

__all__ = ["Verbs", "default_of"]

_OWN_FLAGS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Of a verb whose flags come from a declaration: :func:`postroom.cli.flags.read_flags` reads them."""


class Verbs(typer.Typer):
    """The verbs of a noun, or a few verbs that stand alone; ``about`` is the noun's help."""

    def __init__(self, about: str = "") -> None:
        super().__init__(
            cls=_Noun,
            help=about,
            add_completion=False,
            no_args_is_help=True,
            rich_markup_mode=None,
        )
        self.callback()(_nothing)  # a noun with a single verb is still a noun

    def verb(
        self,
        name: str | None = None,
        *,
        fields: str = "",
        pasted: bool = False,
        does: str = "",
        leave: Collection[str] = (),
        default: Mapping[str, str] | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Make a function a verb; ``fields`` names the noun whose fields are flags of it as well;
        ``pasted``: its argument may be what a server said.

        ``does`` names the built-in command that the verb stands for, whose parameters are its words
        and flags; for ``leave`` and ``default`` see :func:`postroom.cli.declared.taking`.
        """
        if does:
            from postroom.cli.declared import taking  # the declarations are slow to load

            made = self.command(name, cls=_Verb)
            return lambda function: made(taking(does, function, leave=leave, default=default))
        if not fields:
            return self.command(name, cls=_Pasted if pasted else _Verb)
        return self.command(name, cls=_taking(fields), context_settings=dict(_OWN_FLAGS))


def _nothing() -> None:
    pass


class _Verb(TyperCommand):
    """A verb: its usage and its flags are written here, the same with every release of the parser."""

    fields_of = ""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """``postroom source ledger NAME [options]``."""
        params = self.get_params(ctx)
        words = [_word(one) for one in params if one.param_type_name == "argument"]
        needed = [
            f"{one.opts[0]} {_value(one)}"
            for one in params
            if one.param_type_name != "argument" and one.required
        ]
        formatter.write_usage(ctx.command_path, " ".join([*words, *needed, "[options]"]))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, flags, and the fields that are flags as well."""
        params: list[Any] = list(self.get_params(ctx))
        rows = [(_word(one), one.help or "") for one in params if one.param_type_name == "argument"]
        if any(about for _, about in rows):
            with formatter.section("Arguments"):
                formatter.write_dl(rows)
        with formatter.section("Options"):
            flags = [_flag(one) for one in params if one.param_type_name != "argument"]
            formatter.write_dl([*self._own_flags(), *flags])
        if self.fields_of:
            _fields(self.fields_of, formatter, changing=self.name == "set")

    def _own_flags(self) -> list[tuple[str, str]]:
        """Those of a verb that takes fields; the parser does not know them."""
        if not self.fields_of:
            return []
        such = " Such as --set incoming.host=HOST." if self.fields_of == "connection" else ""
        one = ("--set FIELD=VALUE", f"Any field, by its whole name.{such}")
        clear = ("--clear FIELD", "Take the value of a field away.")
        return [one, clear] if self.name == "set" else [one]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The options of every verb, in a line."""
        formatter.write_paragraph()
        formatter.write_text(EVERY_VERB)


class _Pasted(_Verb):
    """A verb whose argument may be what a server said."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``-ERR ...`` is what a POP3 server says (RFC 1939, 3), and no flag."""
        at = next((one for one, word in enumerate(args) if word.startswith("-ERR")), None)
        return super().parse_args(ctx, args if at is None else [*args[:at], "--", *args[at:]])


def _taking(noun: str) -> type[_Verb]:
    return type("_VerbWithFields", (_Verb,), {"fields_of": noun})


class _Noun(TyperGroup):
    """A noun: its verbs, each with its whole first sentence."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Of the usage line."""
        return ["VERB ..."]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb.  Raises WrongUse with the nearest when there is none of that name."""
        if args[0] not in self.commands:
            raise no_such_verb(args[0], self.commands, ctx.command_path)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The verbs; a noun has no flags of its own."""
        with formatter.section("Verbs"):
            formatter.write_dl(
                [(name, _first_sentence(each.help)) for name, each in self.commands.items()]
            )

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Where the rest is told."""
        formatter.write_paragraph()
        formatter.write_text(f"Flags of a verb: {ctx.command_path} VERB --help. {EVERY_VERB}")


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").split()).partition(". ")[0].rstrip(".") + "."


def _word(one: Any) -> str:
    word = one.metavar or str(one.name).upper().removesuffix("_")
    word += " ..." if one.nargs == -1 or one.multiple else ""
    return word if one.required else f"[{word}]"


def _value(one: Any) -> str:
    return "" if one.is_flag else str(one.metavar or one.opts[0].lstrip("-").upper())


def _flag(one: Any) -> tuple[str, str]:
    about = one.help or ""
    if one.required:
        about = f"{about} Needed.".strip()
    elif one.default not in (None, "", False, ()) and not one.is_flag:
        about = f"{about} Default: {default_of(one)}.".strip()
    words = sorted(one.opts, key=lambda word: word.startswith("--"))  # a set in the parser's help
    return f"{', '.join(words)} {_value(one)}".rstrip(), about


def default_of(one: Any) -> str:
    """The default of a flag as people read it."""
    return "the current directory" if one.default == Path() else str(one.default)


def _fields(noun: str, formatter: Any, *, changing: bool) -> None:
    """The fields of a noun as flags.  Loaded only here: the declarations need pydantic."""
    if noun == "credential":
        formatter.write_paragraph()
        formatter.write_text(
            "The fields of the type are flags as well (postroom explain TYPE lists them). A secret "
            "is asked for, or comes by --FIELD-from-env VARIABLE, --FIELD-from-file PATH or "
            "--FIELD-stdin."
        )
        formatter.write_text("By label: --client-secrets.LABEL.value-from-env VARIABLE")
        return
    from postroom.fields import describe
    from postroom.operations.declared import nouns

    rows = []
    for one in describe(nouns()[noun]):
        if one.name in ("name", *(("address",) if noun == "account" else ())):
            continue  # words of the verb
        if one.sealed:
            rows.append(
                (f"--{one.name.replace('_', '-')}-from-env VARIABLE", one.help or one.label)
            )
            continue
        value = "YES|NO" if one.type == "yes or no" else one.type.upper()
        if "." in one.name:
            flag = f"--set {one.name}={value}"
        else:
            flag = f"--{one.name.replace('_', '-')} {value}"
        about = [one.help or one.label + "."]
        if one.options and one.options != (one.default_text,):
            about.append(f"One of {', '.join(one.options)}.")
        if one.default_text and not changing:  # what is not given stays as it is
            about.append("Needed." if one.needed else f"Default: {one.default_text}.")
        rows.append((flag, " ".join(about)))
    with formatter.section("Fields"):
        formatter.write_dl(rows)
