"""Sending: the service, its durable queue (the outbox) and the dispatcher that drains it."""

__all__: list[str] = []
