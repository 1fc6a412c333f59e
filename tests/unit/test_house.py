"""The house holds its own rules: gauges, floors, one way out, one wall around secrets."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from typing import Any

import grimp
import pytest

from tests.unit.house import gauges, lints, lists
from tests.unit.house.tree import ROOT, SRC, floors, modules, project


def list_of(findings: list[str]) -> str:
    return "\n" + "\n".join(findings)


# ------------------------------------------------------------------------------------- gauges


def test_nothing_is_over_its_gauge() -> None:
    figures = gauges.figures(modules())
    print(f"\n{figures.table()}")
    assert not figures.over(), list_of(figures.over())
    assert figures.p90 <= gauges.FUNCTION_P90


def test_every_module_says_its_job_in_one_line() -> None:
    found = [line for module in modules() for line in gauges.missing_words(module)]
    assert not found, list_of(found)


def test_every_module_lists_what_it_offers() -> None:
    found = [line for module in modules() for line in gauges.false_exports(module)]
    assert not found, list_of(found)


def test_no_module_has_a_name_that_says_nothing() -> None:
    found = [line for m in modules() for line in lints.banned_names(m, lists.NO_NAMES)]
    assert not found, list_of(found)


# ------------------------------------------------------------------------------------- floors


def import_graph(*, types: bool) -> Any:
    if importlib.util.find_spec("postroom") is None:
        pytest.skip("the package is not on the path")
    return grimp.build_graph("postroom", exclude_type_checking_imports=not types, cache_dir=None)


def test_no_import_goes_in_a_circle() -> None:
    graph = import_graph(types=False)
    edges = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail("a circle of imports: " + " <- ".join(error.args[1]))


def contracts() -> dict[str, dict[str, Any]]:
    found = project()["tool"]["importlinter"]["contracts"]
    return {contract["id"]: contract for contract in found}


def all_floors() -> set[str]:
    rows = contracts()["floors"]["layers"]
    return {name.strip().strip("()") for row in rows for name in row.split("|")}


DOORS = {"api", "cli", "web"}
BEHIND_DOORS = {
    "app", "clock", "errors", "fields", "library", "log", "operations", "secret", "serving", "settings",
    "worker",
}  # fmt: skip
SUBJECTS = {"doors": DOORS, "wires": {"protocols"}, "wall": {"vault"}}


@pytest.mark.parametrize(
    ("contract", "key", "wanted"),
    [
        ("doors", "source_modules", DOORS),
        ("doors", "forbidden_modules", all_floors() - DOORS - BEHIND_DOORS),
        ("wires", "source_modules", {"protocols"}),
        ("wires", "forbidden_modules", {"audit", "db", "vault"}),
        ("wall", "protected_modules", {"vault"}),
        ("wall", "allowed_importers", {"access", "app", "credentials", "operations.keys"}),
    ],
)
def test_the_contracts_name_every_floor_that_exists(
    contract: str, key: str, wanted: set[str]
) -> None:
    """import-linter wants names that exist, so a new floor has to be written in when it comes."""
    if contract not in contracts() and not SUBJECTS[contract] & floors():
        pytest.skip("nothing yet that this contract is about")
    here = {f"postroom.{name}" for name in wanted} & {module.name for module in modules()}
    named = set(contracts().get(contract, {}).get(key, []))
    assert named == here, f"pyproject.toml, contract {contract!r}: {key} should name {sorted(here)}"


# ------------------------------------------------------------------------------------- lints


def test_only_net_opens_a_way_out() -> None:
    """T61: sockets, TLS contexts and client libraries, in the whole house."""
    found = [
        line
        for module in modules()
        if not module.is_in(*lists.MAY_DIAL)
        for line in lints.ways_out(module)
    ]
    assert not found, list_of(found)


def test_what_speaks_http_uses_our_sockets() -> None:
    """T61: not even net/ lets a library dial, follow redirects or read the environment."""
    found = [line for module in modules() for line in lints.own_sockets(module)]
    assert not found, list_of(found)


def test_secrets_are_revealed_only_where_the_list_says() -> None:
    places = {m.name.removeprefix("postroom."): list(lints.reveals(m)) for m in modules()}
    revealing = {name: found for name, found in places.items() if found and name != "secret"}
    new = [
        f"{place}: reveal() here; if bytes must leave here for the wire or the seal, add"
        f' "{name}" and the reason to MAY_REVEAL in tests/unit/house/lists.py'
        for name, found in revealing.items()
        if name not in lists.MAY_REVEAL
        for place in found
    ]
    assert not new, list_of(new)
    stale = sorted(set(lists.MAY_REVEAL) - set(revealing))
    assert not stale, f"these reveal nothing any more; take them off the list: {stale}"


def test_sql_is_text_that_nobody_builds() -> None:
    found = [
        line
        for module in modules()
        if not module.is_in(*lists.MAY_BUILD_SQL)
        for line in lints.built_sql(module)
    ]
    assert not found, list_of(found)


def test_some_libraries_belong_to_one_room() -> None:
    found = [
        f"{module.at(node)}: {name} belongs to {rooms}"
        for module in modules()
        for node, name in module.imports()
        if (rooms := lists.MAY_IMPORT.get(name.partition(".")[0])) and not module.is_in(*rooms)
    ]
    assert not found, list_of(found)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\s<>=!~;\[]", line)[0]) for line in requirements}


def imported(extra: str = "") -> set[str]:
    """Distributions that the rooms of an extra import, or that all other rooms do."""
    owners = importlib.metadata.packages_distributions()
    rooms = [room for one in lists.EXTRAS.values() for room in one]
    tops = {
        top
        for module in modules()
        if (module.is_in(*lists.EXTRAS[extra]) if extra else not module.is_in(*rooms))
        for top in lints.third_party(module, sys.stdlib_module_names)
    }
    names = {normal(owners.get(top, [top])[0]) for top in tops}
    return {lists.SAME_RELEASE.get(name, name) for name in names}


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    table = project()["project"]
    core = declared(table["dependencies"])
    assert not imported() - core, "import them in pyproject.toml's dependencies too"
    assert not core - imported(), "declared, but nothing imports them"
    for extra in lists.EXTRAS:
        wanted = declared(table["optional-dependencies"][extra])
        assert not imported(extra) - core - wanted, f"add them to the extra {extra!r}"
        if {room.partition(".")[0] for room in lists.EXTRAS[extra]} <= floors():
            unused = wanted - imported(extra) - lists.FOR_OTHERS.keys()
            assert not unused, f"in the extra {extra!r}, but its rooms do not import them"


# ------------------------------------------------------------------------------------- lightness


def loaded_by(code: str) -> set[str]:
    """Top names of the modules that a fresh interpreter has loaded after running the code."""
    code += "\nimport json, sys\nprint(json.dumps([m.partition('.')[0] for m in sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SRC), "NO_COLOR": "1"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_import_postroom_is_light() -> None:
    if not (SRC / "postroom" / "__init__.py").exists():
        pytest.skip("postroom has no __init__ yet")
    assert not loaded_by("import postroom") & set(lists.LIGHT)


@pytest.mark.parametrize("verb", ["--help", "send --help", "apply --help", "source run --help"])
def test_hot_verbs_load_no_web_library(verb: str) -> None:
    if "cli" not in floors():
        pytest.skip("there is no command line yet")
    code = f"import sys\nsys.argv = ['postroom', *{verb.split()}]\n"
    code += "from postroom.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    assert not loaded_by(code) & set(lists.WEB)
