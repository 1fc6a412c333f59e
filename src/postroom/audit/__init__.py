"""The audit record: who did what to which record, chained so that edits show (DESIGN 5)."""

from postroom.audit.chain import verify
from postroom.audit.record import Mac, Recorder, heads, last, purpose, rows

__all__ = ["Mac", "Recorder", "heads", "last", "purpose", "rows", "verify"]
