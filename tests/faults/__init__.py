"""Faults: kill -9, cut connections, lying servers; what was promised holds all the same."""
