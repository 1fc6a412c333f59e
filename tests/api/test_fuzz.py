"""The API asked for everything its document permits, and for what it does not, by every role."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
from pathlib import Path

import pytest

from postroom.access import ROLES
from tests.api.conftest import Served
from tests.api.test_matrix import furnish

SECONDS = os.environ.get("API_FUZZ_SECONDS", "6")
# each day asks something else; what failed is asked again by the seed that its report begins with
SEED = os.environ.get("API_FUZZ_SEED", dt.datetime.now(dt.UTC).strftime("%Y%m%d"))
# not ignored_auth: tokens that are none are slowed down, and that is answered 429 (test_bad_requests)
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "unsupported_method",
    "allow_header_conformance",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900 + 2 * int(SECONDS))
@pytest.mark.bares(
    "file", "process", "log", why="a tool of its own asks; what it made up lies in its report"
)
@pytest.mark.parametrize("role", ROLES)
async def test_nothing_that_is_asked_breaks_it(served: Served, tmp_path: Path, role: str) -> None:
    """T51: no 5xx that is a mistake of ours, and no answer that the document does not know.

    A short dose; ``API_FUZZ_SECONDS=600`` is a long one, and ``API_FUZZ_SEED`` repeats one.
    """
    print(f"API_FUZZ_SEED={SEED}")
    await furnish(served.room)
    (tmp_path / "schemathesis.toml").write_text(
        f'headers = {{ Authorization = "Bearer {served.tokens[role]}" }}\n'
        # 502 and no more: a mail server that somebody made up does not answer
        '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 502]\n'
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
        "run", f"{served.url}/api/v1/openapi.json", "--origin", served.url,
        "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-time", SECONDS, "--seed", SEED,
        "--exclude-path", "/events", "--no-color", "--warnings", "off",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()[-6000:]
    assert b"Tested:" in out
