"""SMTP submission: pure core, table of replies, pipelined transport (RFC 5321, RFC 6409)."""

from postroom.protocols.smtp.replies import explain
from postroom.protocols.smtp.transport import SmtpTransport, open_transport

__all__ = ["SmtpTransport", "explain", "open_transport"]
