"""The gauges: how long files and functions are, how wide classes, what each module says of itself.

A file, class or function may pass its gauge where splitting would make it worse.  It says why in a
comment: ``# gauge: REASON``, in the first five lines of the file, or on the line of the ``def`` or
``class``, or on the line above it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.unit.house.tree import Function, Module

__all__ = [
    "CLASS_METHODS",
    "FILE_LINES",
    "FUNCTION_LINES",
    "FUNCTION_P90",
    "Figures",
    "Reading",
    "false_exports",
    "figures",
    "missing_words",
    "percentile",
]

FILE_LINES = 400
FUNCTION_LINES = 60
FUNCTION_P90 = 25
CLASS_METHODS = 15

_REASON = re.compile(r"#\s*gauge:\s*\S.{9,}")


@dataclass(frozen=True, order=True)
class Reading:
    """One measured thing: how much, where, and whether it says why it may be more."""

    size: int
    where: str
    excused: bool = False

    def __str__(self) -> str:
        return f"{self.size:4}  {self.where}{'  (says why)' if self.excused else ''}"


@dataclass
class Figures:
    """All readings of a tree, longest first."""

    files: list[Reading] = field(default_factory=list)
    functions: list[Reading] = field(default_factory=list)
    classes: list[Reading] = field(default_factory=list)

    @property
    def p90(self) -> int:
        return percentile([reading.size for reading in self.functions], 90)

    @property
    def median(self) -> int:
        return percentile([reading.size for reading in self.functions], 50)

    def over(self) -> list[str]:
        """What is over its gauge and does not say why."""
        table = [
            (self.files, FILE_LINES, "lines in a file"),
            (self.functions, FUNCTION_LINES, "lines in a function"),
            (self.classes, CLASS_METHODS, "methods in a class"),
        ]
        return [
            f"{reading} {what}, the gauge is {limit}"
            for readings, limit, what in table
            for reading in readings
            if reading.size > limit and not reading.excused
        ]

    def summary(self) -> str:
        """The figures in one line."""
        longest = [readings[0].size if readings else 0 for readings in (self.files, self.functions)]
        widest = self.classes[0].size if self.classes else 0
        return (
            f"{len(self.files)} files <= {longest[0]} lines; functions p90 {self.p90},"
            f" <= {longest[1]}; classes <= {widest} methods"
        )

    def table(self) -> str:
        """The figures for a person."""
        rows = [
            f"{len(self.files)} modules, {sum(r.size for r in self.files)} lines",
            f"{len(self.functions)} functions, {len(self.classes)} classes",
            f"function lines: median {self.median}, 90th percentile {self.p90} (<= {FUNCTION_P90})",
        ]
        for title, readings, limit in [
            ("longest files", self.files, FILE_LINES),
            ("longest functions", self.functions, FUNCTION_LINES),
            ("widest classes", self.classes, CLASS_METHODS),
        ]:
            rows += [f"{title} (<= {limit})", *(f"  {reading}" for reading in readings[:5])]
        return "\n".join(rows)


def figures(modules: Iterable[Module]) -> Figures:
    """Measure a tree."""
    found = Figures()
    for module in modules:
        found.files.append(Reading(len(module.lines), module.file, _excused(module, 1, 5)))
        found.functions += [_function(module, node) for node in module.functions()]
        found.classes += [
            _class(module, node) for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)
        ]
    for readings in (found.files, found.functions, found.classes):
        readings.sort(reverse=True)
    return found


def percentile(sizes: list[int], share: int) -> int:
    """The smallest size that ``share`` percent of all sizes do not exceed; 0 for no sizes."""
    if not sizes:
        return 0
    return sorted(sizes)[max(0, -(-len(sizes) * share // 100) - 1)]


def _excused(module: Module, first: int, last: int) -> bool:
    return any(_REASON.search(line) for line in module.lines[max(0, first - 1) : last])


def _function(module: Module, node: Function) -> Reading:
    size = (node.end_lineno or node.lineno) - node.lineno + 1
    excused = _excused(module, node.lineno - 1, node.body[0].lineno - 1)
    return Reading(size, f"{module.at(node)} {node.name}", excused)


def _class(module: Module, node: ast.ClassDef) -> Reading:
    # Overloads and the setters of a property share a name and are one method to its reader.
    names = {item.name for item in node.body if isinstance(item, Function)}
    excused = _excused(module, node.lineno - 1, node.body[0].lineno - 1)
    return Reading(len(names), f"{module.at(node)} {node.name}", excused)


def missing_words(module: Module) -> Iterator[str]:
    """A module's first line says its job in one sentence."""
    docstring = ast.get_docstring(module.tree)
    if not docstring:
        yield f"{module.file}: opens with no docstring; say its job in one line"
    elif len(docstring.splitlines()) > 1 and docstring.splitlines()[1].strip():
        yield f"{module.file}: the first line of its docstring does not stand alone"


def false_exports(module: Module) -> Iterator[str]:
    """``__all__`` is there, is a plain list, names what exists and every public def and class."""
    if module.name.endswith(".__main__"):
        return
    listed = _listed(module.tree)
    if listed is None:
        yield f"{module.file}: has no __all__ that is a plain list of strings"
        return
    defined = set(_defined(module.tree.body))
    if "__getattr__" not in defined:
        yield from (f"{module.file}: __all__ names {n}; it is not here" for n in listed - defined)
    for node in module.tree.body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        if node.name not in listed and not _is_verb(node):
            yield f"{module.at(node)}: {node.name} is public but not in __all__"


def _listed(tree: ast.Module) -> set[str] | None:
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        target = node.target if isinstance(node, ast.AnnAssign) else target
        if isinstance(target, ast.Name) and target.id == "__all__":
            value = getattr(node, "value", None)
            try:
                return set(ast.literal_eval(value)) if value is not None else None
            except (ValueError, TypeError):
                return None
    return None


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    """Names bound at the top of a module, inside ``if`` and ``try`` too."""
    for node in body:
        if isinstance(node, ast.ClassDef | Function):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _defined(node.body)
            yield from _defined(getattr(node, "orelse", []))
            for handler in getattr(node, "handlers", []):
                yield from _defined(handler.body)


def _is_verb(node: ast.ClassDef | Function) -> bool:
    """Whether a function belongs to a Typer app: the command line calls it, nobody imports it."""
    return any(
        ast.unparse(each).startswith(("app.verb", "app.callback")) for each in node.decorator_list
    )
