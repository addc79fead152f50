"""Fetch pages and parse them into facts, for jobs from Redis and for requests over HTTP."""
