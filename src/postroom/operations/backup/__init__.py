"""Backups: one file that holds a whole room but its key; made while work goes on, checked, restored."""

from postroom.operations.backup.checking import Keys, Verified, verify
from postroom.operations.backup.making import Backup
from postroom.operations.backup.restoring import Restored, restore

__all__ = ["Backup", "Keys", "Restored", "Verified", "restore", "verify"]
