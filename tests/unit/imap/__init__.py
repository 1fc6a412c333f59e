"""The IMAP core without a socket."""
