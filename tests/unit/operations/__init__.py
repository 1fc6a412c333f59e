"""Tests of operations, apart from what they work on."""
