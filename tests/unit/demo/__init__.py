"""What `postroom demo` needs besides Postroom, tested with clients that others wrote."""
