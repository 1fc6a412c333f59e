"""What the page keeps in memory - forms that were left, works that are over - has an end, and a size."""

from __future__ import annotations

import asyncio

import pytest

from postroom.web import drafts, works
from postroom.web.drafts import Drafts
from postroom.web.form import Form
from postroom.web.works import Work, Works


async def test_a_work_is_forgotten_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """T31: a password that was typed for it does not wait for somebody else's work."""
    monkeypatch.setattr(works, "_KEPT", 0.02)
    kept = Works()

    async def run(work: Work) -> str:
        return "done"

    work = kept.begin("user:ann", "x.html", run, password="typed")
    assert work.task is not None
    await work.task
    assert kept.find("user:ann", work.id).result == "done"
    for _ in range(200):
        if not kept._known:
            break
        await asyncio.sleep(0.01)
    assert not kept._known


async def test_a_form_that_nobody_comes_back_for_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drafts, "SECONDS", 0.02)
    kept = Drafts()
    token = kept.leave("user:ann", {"name": "acme"})
    assert kept.back("user:bob", token) is None
    found = kept.back("user:ann", token, field="credential", chosen="login")
    assert isinstance(found, Form)
    assert found.plain() == {"name": "acme", "credential": "login"}
    for _ in range(200):
        if kept.back("user:ann", token) is None:
            break
        await asyncio.sleep(0.01)
    assert kept.back("user:ann", token) is None


async def test_nobody_pushes_out_what_others_left() -> None:
    """T54: many forms of one are that one's matter, and all together have a size."""
    kept = Drafts()
    mine = kept.leave("user:ann", {"name": "acme"})
    theirs = [kept.leave("user:eve", {"x": "y" * 100}) for _ in range(drafts.OF_ONE + 5)]
    assert kept.back("user:ann", mine) is not None
    assert [kept.back("user:eve", one) is None for one in theirs].count(True) == 5
    for _ in range(3):
        kept.leave("user:eve", {"x": "y" * (drafts.BYTES // 2)})
    assert kept.back("user:ann", mine) is None
