"""Bytes to a document."""
