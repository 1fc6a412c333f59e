"""Tests of the pure parts of Microsoft Graph's wire."""
