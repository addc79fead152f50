"""The processes next to http."""
