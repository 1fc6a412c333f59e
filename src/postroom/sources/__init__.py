"""Collecting: the source, its verdicts, its ledger and the collector."""

__all__: list[str] = []
