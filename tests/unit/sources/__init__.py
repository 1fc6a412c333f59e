"""Tests of sources: verdicts, schedules, the ledger, reading, backing off."""
