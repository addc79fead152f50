"""Accepts requests, keeps them, and answers for them: HTTP, the worker and beat."""
