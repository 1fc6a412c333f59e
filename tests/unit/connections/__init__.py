"""Tests of connections: fields, defaults, inheritance, destinations, advice, mailbox."""
