"""The page in a real browser, served over a room of its own, with the mail servers of the ground."""
