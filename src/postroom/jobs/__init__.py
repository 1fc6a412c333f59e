"""Jobs: definitions of work with stored credentials and mail, and their executions."""
