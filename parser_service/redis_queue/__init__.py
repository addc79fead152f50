"""The lists, leases and host limits in redis."""
