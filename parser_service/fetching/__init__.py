"""A url to bytes."""
