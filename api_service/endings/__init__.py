"""Every end of a request."""
