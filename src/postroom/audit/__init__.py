"""The audit record: who did what to which record, chained so that edits show (DESIGN 5)."""

from postroom.audit.chain import verify
from postroom.audit.checkpoints import Checkpoints
from postroom.audit.outside import Head, Outside
from postroom.audit.reading import active_term, highest_version, last, purpose, rows
from postroom.audit.record import Mac, Recorder, heads
from postroom.audit.retire import carry_versions, retire

__all__ = [
    "Checkpoints",
    "Head",
    "Mac",
    "Outside",
    "Recorder",
    "active_term",
    "carry_versions",
    "heads",
    "highest_version",
    "last",
    "purpose",
    "retire",
    "rows",
    "verify",
]
