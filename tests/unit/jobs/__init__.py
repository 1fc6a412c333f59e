"""Tests of services: states, senders, settling, the outbox, the dispatcher."""
