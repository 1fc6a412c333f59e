"""The checkers of histories: what they accept, and the sentence for each thing that they do not."""

from __future__ import annotations

import pytest

from tests.faults.history import Event, History, Kind, Pen, registers, sets


def events(*lines: str) -> list[Event]:
    """Lines such as ``a1 invoke write k v`` and ``a1 ok write k v 3``: client and step, and so on."""
    found = []
    for line in lines:
        who, kind, action, key, *rest = line.split()
        value = rest[0] if rest else None
        version = int(rest[1]) if len(rest) > 1 else None
        word: Kind = kind  # type: ignore[assignment]
        found.append(Event(who[0], int(who[1:]), word, action, key, value, version))
    return found


WRITE = ("a1 invoke write k one", "a1 ok write k one 1")
READ = ("r1 invoke read k", "r1 ok read k one 1")


@pytest.mark.parametrize(
    "more",
    [
        READ,
        ("a2 invoke write k two", "r1 invoke read k", "r1 ok read k two 2"),
        ("a2 invoke write k two", *READ),
        ("a2 invoke write k two", "a2 info write k two", "r1 invoke read k", "r1 ok read k two 2"),
        # a read that overlaps a write may see it or not
        ("r2 invoke read k", "a2 invoke write k two", "a2 ok write k two 2", "r2 ok read k one 1",
         "r3 invoke read k", "r3 ok read k two 2"),
        # nobody knows how the second ended; the third came after it
        ("a2 invoke write k two", "a3 invoke write k three", "a3 ok write k three 3",
         "r1 invoke read k", "r1 ok read k three 3"),
        ("a2 invoke delete k", "a2 ok delete k", "r1 invoke read k", "r1 fail read k"),
        ("a2 invoke delete k", *READ),
        ("a2 invoke delete k", "r1 invoke read k", "r1 fail read k"),
    ],
)  # fmt: skip
def test_a_sound_history_is_accepted(more: tuple[str, ...]) -> None:
    assert registers(events(*WRITE, *more)) == []


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ((), "could not be read afterwards"),
        (("r1 invoke read k", "r1 fail read k"), "could not be read afterwards"),
        (("a2 invoke delete k", "a2 ok delete k", *READ), "was deleted and could be read"),
        (("a2 invoke write k two", "a2 ok write k two 2", *READ), "after a write k"),
        (("b1 invoke write k two", "b1 ok write k two 1", *READ), "are both version 1"),
        (("r1 invoke read k", "r1 ok read k three 3"), "nobody wrote that"),
        (("a2 invoke write k two", "a2 fail write k two", "r1 invoke read k",
          "r1 ok read k two 2"), "had failed"),
        (("r1 invoke read k", "r1 ok read k one 2"), "was written as another"),
        ((*READ, "a2 invoke write k two", "r2 invoke read k", "r2 ok read k two 2",
          "r3 invoke read k", "r3 ok read k one 1"), "is version 1, after"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(more: tuple[str, ...], sentence: str) -> None:
    told = registers(events(*WRITE, *more))
    if sentence == "after a write k":
        assert any("is version 1, after write k = 'two'" in one for one in told)
    else:
        assert any(sentence in one for one in told), told


def test_a_set_loses_nothing_and_doubles_nothing() -> None:
    done = events("a1 invoke add x", "a1 ok add x", "a2 invoke add y", "a3 invoke add z",
                  "a3 fail add z")  # fmt: skip
    assert sets(done, ["x"]) == sets(done, ["x", "y"]) == []
    assert "is lost" in sets(done, [])[0]
    assert "2 times" in sets(done, ["x", "x"])[0]
    assert "nobody added" in sets(done, ["x", "w"])[0]
    assert "all the same" in sets(done, ["x", "z"])[0]


def test_the_lines_of_a_pen_come_back_in_order() -> None:
    with History() as history:
        pen = Pen(history.pen, "a")
        step = pen.invoke("write", "k", "v")
        pen.ok(step, version=4)
        assert history.end() == [
            Event("a", 1, "invoke", "write", "k", "v"),
            Event("a", 1, "ok", "write", "k", "v", 4),
        ]
