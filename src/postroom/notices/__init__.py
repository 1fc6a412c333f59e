"""Notices: what a person has to know, and who is told of it, how, and when it is over."""

from postroom.notices.notification import CAUSES, Notify

__all__ = ["CAUSES", "Notify"]
