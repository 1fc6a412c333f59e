"""What is delivered and what it does on its own: nothing but ours, and nothing before it is told."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.house.tree import ROOT, SRC, project

IMPORTS = """
import importlib, pkgutil, sys

FORBIDDEN = {
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.mkdir", "os.remove",
    "os.rename", "os.putenv", "shutil.rmtree", "urllib.Request", "smtplib.connect",
}

def watch(event, args):
    if event in FORBIDDEN or (event == "open" and set("wax+") & set(str(args[1] or "r"))):
        print(event, args, flush=True)

if len(sys.argv) > 1:
    import threading  # noqa
sys.addaudithook(watch)
import postroom
before = dict(__import__("os").environ)
for module in pkgutil.walk_packages(postroom.__path__, "postroom."):
    if not module.name.endswith("__main__") and ".demo" not in module.name:
        importlib.import_module(module.name)
assert before == dict(__import__("os").environ)
import logging
assert not logging.getLogger().handlers
assert not [t for t in __import__("threading").enumerate() if t is not __import__("threading").main_thread()]
if len(sys.argv) > 1:
    __import__("socket").create_server(("127.0.0.1", 0)).close()
"""


def seen(*words: str) -> str:
    """What a process that imports every module did meanwhile."""
    return subprocess.run(
        [sys.executable, "-B", "-c", IMPORTS, *words],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip


def test_importing_everything_touches_no_network_no_file_and_no_other_program() -> None:
    """T97: every module of the package; that the watch sees a socket is shown by one."""
    assert seen() == ""
    assert "socket.bind" in seen("seeded")


PAGE = Path("src/postroom/web")


def test_only_ours_is_in_the_package() -> None:
    """T97: text in Python and SQL, nothing compiled, no link, nothing executable; beside the page what
    it is drawn with, and of others nothing but what ``VENDORED.md`` names with its sum.
    """
    assert project()["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["src/postroom"]}
    tracked = subprocess.run(
        ["git", "ls-files", "-s", "src"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    files = [(line.split()[0], Path(line.split("\t")[1])) for line in tracked]
    for mode, path in files:
        assert mode == "100644", path
        known = (".py", ".sql", *((".html",) if PAGE / "templates" in path.parents else ()))
        dressing = path.parent == PAGE / "static"
        assert path.suffix in known or path.name == "py.typed" or dressing, path
        (ROOT / path).read_text("utf-8")
    note = (ROOT / PAGE / "static" / "VENDORED.md").read_text("utf-8")
    for path in (path for _, path in files if path.parent == PAGE / "static"):
        ours = path.name in ("VENDORED.md", "mark.svg", "page.css", "page.js", "work.css")
        assert ours or f"`{path.name}`" in note, path


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    """T97: a release of somebody else's that breaks things, or worse, is not taken by itself."""
    table = project()["project"]
    extras = table["optional-dependencies"].values()
    for line in [*table["dependencies"], *(line for extra in extras for line in extra)]:
        assert ">=" in line, line
        assert ",<" in line, line
        assert "@" not in line, line


def test_the_wheel_holds_the_package_and_what_is_said_of_it(tmp_path: Path) -> None:
    """T97: every module and migration that is tracked, the licence, and nothing else: no test, no
    room, no key, whatever lies about in the tree it is built from."""
    tree = tmp_path / "tree"
    shutil.copytree(SRC, tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tree)
    for stray in ("room.db", "room.kek", "__pycache__/x.pyc"):
        (tree / "src" / "postroom" / stray).parent.mkdir(exist_ok=True)
        (tree / "src" / "postroom" / stray).write_text("left behind")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=tree, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    said = f"postroom-{project()['project']['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"postroom", said}
    assert {name.removeprefix(f"{said}/") for name in names if name.startswith(said)} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE",
    }  # fmt: skip
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "src/postroom"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    ours = {name.removeprefix("src/") for name in tracked if (ROOT / name).exists()}
    assert {name for name in names if name.startswith("postroom/")} == ours


LOCK = (ROOT / "requirements.lock").read_text()


def locked() -> dict[str, str]:
    """Every distribution of the lock, with its version."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(.*(?:\n    --hash.*)*)", LOCK, re.MULTILINE)
    for name, version, rest in found:
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}", rest)
        assert hashes, f"{name} {version} has no hash"
    return {canonicalize_name(name): version for name, version, _ in found}


def test_the_lock_has_what_is_declared_by_version_and_hash_and_names_no_place() -> None:
    """T97: reproducible.  ``make lock`` writes it anew when a dependency changes."""
    table, versions = project()["project"], locked()
    extras = table["optional-dependencies"]
    for line in [*table["dependencies"], *extras["demo"], *extras["server"]]:
        wanted = Requirement(line)
        version = versions.get(canonicalize_name(wanted.name))
        assert version is not None, f"{line} is not in the lock: make lock"
        assert wanted.specifier.contains(version), f"{line}, and the lock has {version}: make lock"
    assert "://" not in LOCK
    assert LOCK.count("==") == len(versions)


def test_the_bill_of_materials_names_what_is_locked(tmp_path: Path) -> None:
    """T97: ``make sbom`` makes it of the lock: each distribution once, with its version and its hashes.

    The tool lies in an environment of its own, which only a network fills.  Without it: what it is told.
    """
    script = (ROOT / "scripts" / "supply").read_text()
    asked = script.partition("sbom)")[2].partition(";;")[0]
    assert "cyclonedx-py requirements --output-reproducible" in asked
    assert asked.split().count("requirements.lock") == 1
    tool = ROOT / ".venv-supply" / "bin" / "cyclonedx-py"
    if not tool.exists():
        pytest.skip("its tool is not there: make sbom installs it")
    made = tmp_path / "bill.json"
    subprocess.run(
        [tool, "requirements", "--output-reproducible", "--of", "JSON", "-o", made, "requirements.lock"],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    parts = json.loads(made.read_text())["components"]
    assert len(parts) == len(locked())
    assert {canonicalize_name(one["name"]): one["version"] for one in parts} == locked()


def test_what_has_a_known_hole_is_looked_for_in_the_whole_lock() -> None:
    """T97: ``scripts/supply audit`` asks about every locked distribution, by hash, and installs none; what
    contributors read says that it is done for each release, since no test may need a network."""
    script = (ROOT / "scripts" / "supply").read_text()
    asked = script.partition("audit)")[2].partition(";;")[0]
    assert "pip-audit --require-hashes --disable-pip -r requirements.lock" in asked
    assert "scripts/supply audit" in (ROOT / "CONTRIBUTING.md").read_text()
