"""The way from an accepted request to a job on the parsers' list, and its repair."""
