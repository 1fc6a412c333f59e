"""Drafts from what a caller gives: plain values, and files named to be attached."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from postroom.errors import InvalidValue
from postroom.mail import Attachment, Draft

__all__ = ["Draft", "attachment_of", "draft_of"]


def draft_of(
    *,
    attachments: Sequence[Attachment | Path | str] = (),
    headers: Mapping[str, str] | None = None,
    **given: Any,
) -> Draft:
    """A draft; attachments given as paths are read here.  Raises InvalidValue."""
    return Draft(
        **given,
        headers=dict(headers or {}),
        attachments=tuple(
            one if isinstance(one, Attachment) else attachment_of(Path(one)) for one in attachments
        ),
    )


def attachment_of(path: Path) -> Attachment:
    """A regular file as an attachment.  Raises InvalidValue with a sentence."""
    try:
        if not path.is_file():
            raise InvalidValue(
                "attach", f"{path} is not a file" if path.exists() else f"there is no file {path}"
            )
        data = path.read_bytes()
    except OSError as error:
        raise InvalidValue("attach", f"{path} cannot be read: {error.strerror}") from error
    kind, encoding = mimetypes.guess_type(path.name)
    return Attachment(
        path.name, kind if kind and not encoding else "application/octet-stream", data
    )
