"""From an accepted request to a job on the parsers' list."""
