"""What is kept of what a program writes: lines as they come, the beginning and the end of too many."""

from __future__ import annotations

import pytest

from postroom.jobs.output import LINE_BYTES, Output
from postroom.secret import Secret

WORD = "Canary-edge-5512ab"


def written(
    parts: list[bytes], *, limit: int = 4000, secrets: tuple[str, ...] = (WORD,)
) -> list[str]:
    lines: list[str] = []
    output = Output(
        "stdout", lambda stream, line: lines.append(line), limit=limit, secrets=map(Secret, secrets)
    )
    for part in parts:
        output.feed(part)
    output.end()
    return lines


def split(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 3, 7, 64, 1000])
def test_lines_are_the_same_however_they_are_split(size: int) -> None:
    data = "one\r\n\ntwo \u20ac\ttab\nlast".encode()
    assert written(split(data, size)) == ["one", "", "two \u20ac\ttab", "last"]


@pytest.mark.parametrize("size", range(1, 40))
def test_no_part_of_a_secret_survives_where_the_middle_is_left_out(size: int) -> None:
    """T34: neither at the end of the beginning nor at the beginning of the end."""
    for before in range(3):
        data = b"." * before + WORD.encode() * 2000
        lines = written(split(data, size), limit=500)
        kept = [line for line in lines if "left out" not in line]
        assert len(lines) - len(kept) == 1
        assert not "".join(kept).strip(".*")


def test_the_middle_is_counted() -> None:
    data = b"".join(b"%05d\n" % number for number in range(10_000))
    lines = written(split(data, 1000))
    at = next(number for number, line in enumerate(lines) if "left out" in line)
    left_out = int(lines[at].split()[0].removeprefix("["))
    assert lines[:at] == [f"{number:05}" for number in range(at)]
    behind = lines[at + 1 :]
    assert behind == [f"{number:05}" for number in range(10_000 - len(behind), 10_000)]
    assert left_out == len(data) - 6 * (at + len(behind))


def test_empty_lines_without_end_are_bounded() -> None:
    assert len(written([b"\n" * 60_000] * 100)) < 100


def test_a_line_without_end_comes_in_parts() -> None:
    lines = written([b"x" * 1000] * 20, limit=1 << 20)
    assert list(map(len, lines)) == [LINE_BYTES, LINE_BYTES, 20_000 - 2 * LINE_BYTES]


def test_what_would_move_a_terminal_is_written_out() -> None:
    """T94: a line of a log is one line."""
    assert written([b"a\x1b[2Jb\x00\rc\xe2\x80\xae\n"]) == ["a\\x1b[2Jb\\x00\\x0dc\\x202e"]
