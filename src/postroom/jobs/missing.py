"""What a job would run and is not there, as far as that is seen without running it."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final

from postroom.jobs.code import CODE_BYTES
from postroom.jobs.job import Job, Program, Python

__all__ = ["missing"]

_PYTHON: Final = ".py"


def missing(job: Job) -> list[str]:
    """Sentences about the program, module or function of a job that is not found; none: it is there.

    They are no errors: it may come, and a worker elsewhere may have it.  Nothing is imported or run.
    """
    if job.command is not None:
        said = _program(job.command)
        return [f"command: {said}"] if said else []
    said = _python(job.python) if job.python is not None else ""
    return [f"python: {said}"] if said else []


def _program(program: Program) -> str:
    first = program.words[0]
    if "/" not in first:
        path = os.environ.get("PATH", os.defpath)
        found = shutil.which(first, path=path) is not None
        return "" if found else f"there is no program {first} here (looked for in PATH)"
    if not Path(first).is_file():
        return f"there is no program {first} here"
    return "" if os.access(first, os.X_OK) else f"{first} may not be executed: chmod +x {first}"


def _python(python: Python) -> str:
    if python.file:
        return _function(Path(python.file), python.file, python.function)
    name, _, function = python.call.partition(":")
    top, _, within = name.partition(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return f"there is no module {top} here"
    whole = not within and spec.origin and spec.origin.endswith(_PYTHON)
    return _function(Path(spec.origin or ""), name, function) if whole else ""


def _function(file: Path, called: str, function: str) -> str:
    """What is wrong with the function of a file; empty also where that is not to be seen."""
    try:
        text = file.read_bytes()[:CODE_BYTES]
        tree = ast.parse(text)
    except SyntaxError as error:
        return f"{called} cannot be read as Python: line {error.lineno}: {error.msg}"
    except (OSError, ValueError, RecursionError, MemoryError):
        return ""
    names = _bound(tree)
    return "" if function in names or "*" in names else f"{called} has no function {function}"


def _bound(tree: ast.Module) -> set[str]:
    """The names that a module binds anywhere outside of its functions, in whatever way."""
    found: set[str] = set()
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(one.name)
            continue
        if isinstance(one, ast.Import | ast.ImportFrom):
            found |= {(each.asname or each.name).partition(".")[0] for each in one.names}
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            found.add(one.id)
        elif isinstance(one, ast.Call):  # setattr, globals().update: anything may be bound
            with contextlib.suppress(AttributeError):
                found |= {"*"} if one.func.id in ("globals", "vars", "exec", "setattr") else set()  # type: ignore[attr-defined]
        waiting += ast.iter_child_nodes(one)
    if any(isinstance(one, ast.FunctionDef) and one.name == "__getattr__" for one in tree.body):
        found.add("*")
    return found
