"""Serve the interactive reference of the API at `/docs`, from this process alone."""
