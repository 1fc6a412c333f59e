"""Tests of notices: whom to tell of what, over which way, in which words."""
