"""The source tree as parsed modules."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["ROOT", "SRC", "Function", "Module", "floors", "modules", "parse", "project"]

ROOT = Path(__file__).parents[3]
SRC = ROOT / "src"

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, its text and its syntax tree."""

    name: str
    text: str
    package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.name)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def file(self) -> str:
        """Where it lies, as a person would look for it."""
        return self.name.replace(".", "/") + ("/__init__.py" if self.package else ".py")

    def at(self, node: ast.expr | ast.stmt) -> str:
        """``file:line`` of a node."""
        return f"{self.file}:{node.lineno}"

    def is_in(self, *packages: str) -> bool:
        """True if this is one of the modules or packages named (``postroom.`` left out)."""
        return any((self.name + ".").startswith(f"postroom.{name}.") for name in packages)

    def functions(self) -> Iterator[Function]:
        """Every function of the file, methods and nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def calls(self) -> Iterator[ast.Call]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node

    def imports(self) -> Iterator[tuple[ast.stmt, str]]:
        """(statement, dotted name) of every absolute import; ``from a import b`` gives ``a.b``."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)

    @cached_property
    def origins(self) -> dict[str, str]:
        """What each imported local name stands for: ``{"ctx": "ssl.create_default_context"}``."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    def dotted(self, node: ast.expr) -> str:
        """``ssl.CERT_NONE`` for whatever spelling of it; ``?`` stands for what is not a name."""
        if isinstance(node, ast.Name):
            return self.origins.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self.dotted(node.value)}.{node.attr}"
        return "?"


def parse(text: str, name: str = "postroom.sample") -> Module:
    """A module from a text, for the tests of the lints themselves."""
    return Module(name=name, text=text)


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package, by name."""
    found = []
    for path in sorted((SRC / "postroom").rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        found.append(Module(name=name, text=path.read_text("utf-8"), package=package))
    return tuple(found)


@cache
def floors() -> frozenset[str]:
    """The names right under ``postroom`` that exist in the tree."""
    return frozenset(m.name.split(".")[1] for m in modules() if m.name.count(".") >= 1)


@cache
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
