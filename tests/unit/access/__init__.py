"""Tests of people, rights and grants."""
