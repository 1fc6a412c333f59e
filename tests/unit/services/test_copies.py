"""Copies for the Sent folder: which are wanted, and what becomes of one that could not be made."""

from __future__ import annotations

import pytest

from postroom.connections.providers import provider_of
from postroom.errors import FolderError, NotThere, PostroomError, Refused, SignInError, WireError
from postroom.services.copies import State, after, wants_copy

LOST = WireError("Lost.", code="connection_lost", temporary=True)
NO_FOLDER = FolderError("None.", code="folder_missing")
FULL = FolderError("Full.", code="over_quota")


@pytest.mark.parametrize(
    ("policy", "imap", "read_only", "kept", "wanted"),
    [
        ("auto", True, False, False, True),
        ("auto", False, False, False, False),  # nowhere to put it
        ("auto", True, True, False, False),  # nothing on that server is changed
        ("auto", True, False, True, False),  # there would be two
        ("append", True, False, True, True),  # somebody knows better
        ("append", True, True, False, True),  # and hears why it fails
        ("server", True, False, False, False),
        ("none", True, False, False, False),
    ],
)
def test_which_copies_are_wanted(
    policy: str, imap: bool, read_only: bool, kept: bool, wanted: bool
) -> None:
    """``auto`` where one is missing and can be put; ``append`` always; else none."""
    assert wants_copy(policy, imap=imap, read_only=read_only, kept=kept) is wanted


@pytest.mark.parametrize(
    ("error", "policy", "over", "state"),
    [
        (LOST, "auto", False, "waiting"),
        (SignInError("No."), "auto", False, "waiting"),  # somebody may mend it
        (FULL, "append", False, "waiting"),
        (LOST, "append", True, "failed"),
        (NO_FOLDER, "auto", False, "none"),
        (NO_FOLDER, "append", False, "failed"),
        (Refused("Read-only.", code="read_only"), "append", False, "failed"),
        (NotThere("The content is gone."), "auto", False, "failed"),
    ],
)
def test_what_becomes_of_a_copy_that_failed(
    error: PostroomError, policy: str, over: bool, state: State
) -> None:
    """Tried again while that may help, for as long as a message would be."""
    assert after(error, policy, over=over) == state


@pytest.mark.parametrize(
    ("host", "keeps"),
    [
        ("smtp.gmail.com", True),
        ("smtp.office365.com", True),
        ("smtp-mail.outlook.com", True),
        ("smtp.fastmail.com", False),
        ("mail.example.com", False),
    ],
)
def test_who_is_known_to_keep_copies(host: str, keeps: bool) -> None:
    """Gmail and Microsoft put what they are given to send into the Sent folder themselves."""
    provider = provider_of(host)
    assert (provider is not None and provider.keeps_copy) is keeps
