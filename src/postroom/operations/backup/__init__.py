"""Backups: one file that holds a whole room but its key; made while work goes on, checked, restored."""

from postroom.operations.backup.verbs import Backup

__all__ = ["Backup"]
