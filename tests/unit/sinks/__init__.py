"""Tests of sinks against a real disk."""
