"""Unit tests of backups: the file and its manifest."""
