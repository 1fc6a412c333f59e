"""Tests of steps: their values, conditions, checks, and how they are done."""
