"""The page about steps: its examples are jobs that can be saved, and it leaves nothing out."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from postroom.fields import describe
from postroom.jobs import conditions, interpreter, loops, patterns, results
from postroom.jobs.checks import EVERY, check_steps
from postroom.jobs.commands import COMMANDS
from postroom.jobs.conditions import read_condition
from postroom.jobs.plans import plan_steps
from postroom.jobs.prepared import DEEPEST, MOST
from postroom.jobs.step import OnError, Step
from postroom.jobs.values import MESSAGE, RUN, Scope
from tests.unit.house.tree import ROOT
from tests.unit.jobs.steps.commands import job_with
from tests.unit.test_docs import Block, at, blocks_of

PAGE = ROOT / "docs" / "steps.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = list(blocks_of(PAGE))


def marked(word: str) -> list[Block]:
    return [block for block in BLOCKS if block.words == ("yaml", word)]


@pytest.mark.parametrize("block", marked("steps"), ids=at)
def test_an_example_is_a_job_that_can_be_saved(block: Block) -> None:
    steps: list[dict[str, Any]] = yaml.safe_load(block.text)
    job = job_with(*steps, parameters={"who": {}})
    check_steps(job)
    scope = Scope(parameters={"who": "ann@example.com"}, expand=lambda text, where: "2026-01-31")
    assert len(plan_steps(job.steps, scope)) >= len(steps)


def test_conditions_of_the_page_are_conditions() -> None:
    [block] = marked("conditions")
    read = [read_condition(line, "when") for line in block.text.splitlines()]
    assert len(read) == 4


def test_every_block_is_looked_at() -> None:
    assert {block.words for block in BLOCKS} == {("yaml", "steps"), ("yaml", "conditions")}


def test_every_word_of_the_language_is_explained() -> None:
    keys = set(Step.model_fields) - {"command", "parameters"}
    words = {*keys, *RUN, *MESSAGE, *EVERY, "results", *conditions._COMPARES}
    assert [
        word for word in sorted(words) if f"`{word}`" not in TEXT and f":{word}}}" not in TEXT
    ] == []


def test_what_takes_many_ids_is_named() -> None:
    many = {one.name.partition("-")[0] for one in COMMANDS if one.many}
    [told] = re.findall(r"that take many `ids` \(([a-z, ]+)\)", TEXT)
    assert set(told.split(", ")) == many


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (MOST, "at most {} steps"),
        (DEEPEST, "at most {} deep"),
        (patterns._POSITIONS, "at most {} parts"),
        (patterns.LONGEST, "the first {:,} characters"),
        (loops.BATCH, "up to {} items"),
        (loops._ERRORS, "of the first {})"),
        (interpreter.WARNINGS, "the first {} of a"),
        (results.KEPT >> 20, "{} MiB in all of a run"),
        (results._CUTS[0][0], "texts to {:,} characters"),
        (results._CUTS[0][1], "lists to {} entries"),
        (results._WRITTEN >> 10, "{} KiB a step"),
        (results._IN_ALL >> 10, "{} KiB in all"),
    ],
)
def test_the_limits_are_those_of_the_code(number: int, said: str) -> None:
    assert said.format(number) in " ".join(TEXT.split())


def test_a_step_is_described_alike_before_and_after_one_was_read() -> None:
    """The page of jobs does not depend on what ran before it."""
    told = {one.name: one.type for one in describe(OnError)}
    assert told["steps"] == "list"
