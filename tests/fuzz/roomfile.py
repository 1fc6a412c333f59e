"""Room files: any file is read, or refused in a sentence with its place; nothing is constructed from tags."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from postroom.errors import PostroomError, WrongUse
from postroom.operations.roomplan import Wanted
from postroom.operations.yamlfile import read_document, read_value

__all__ = ["WORDS", "check"]

WORDS = (
    b"postroom: 1\n", b"variables:\n", b"credentials:\n", b"connections:\n", b"sources:\n", b"services:\n",
    b"- ", b"  ", b"name: a\n", b"type: password\n", b"fields: ", b"{from_env: NAME}", b"{from_file: x}",
    b"{prompt: true}", b": ", b"\n", b"[", b"]", b"{", b"}", b"&a ", b"*a", b"<<: ", b"!!python/object:os.x ",
    b"!!binary ", b"!!timestamp ", b"!!set ", b"!!float ", b"2026-01-01", b".inf", b"1_000", b"1:30", b"~",
    b"---\n", b"|\n", b">-\n", b"'", b'"', b"# ", b"? ", b"\t", b"\xff", b"\0", b"%YAML 1.1\n", b"0x", b"\\x",
    b"[" * 40, b"- " * 40, b"9" * 50, b"1e999", b"!!int ", b"!!omap ", b"!!pairs ", b"=",
)  # fmt: skip


def check(data: bytes) -> None:
    """The bytes as a file and as one value."""
    with tempfile.TemporaryDirectory(prefix="postroom-fuzz-") as folder:
        path = Path(folder) / "room.yaml"
        path.write_bytes(data)
        try:
            document = read_document(path)
            wanted = Wanted()
            wanted.read(document, None)
        except PostroomError as error:
            refused = error
            assert isinstance(refused, WrongUse)
            assert str(path) in refused.sentence or refused.facts.get("field"), refused.sentence
        else:
            assert document.data["postroom"] == 1
            assert document.at("no", "such", "place")
            json.dumps(document.data, default=str)
    read_value(data.decode("utf-8", "replace"))
