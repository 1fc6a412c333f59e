"""Rooms as earlier releases saved them: each a folder by its schema number, never changed again."""
