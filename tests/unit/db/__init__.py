"""Tests of the database: durable commits, claims and their fences, seats, limits, refusals."""
