"""Lists, leases and host limits in Redis."""
