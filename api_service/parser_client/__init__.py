"""All that the API knows of the parser.

Its HTTP call, its lists and keys in Redis, and this service's own, narrow copy of its
messages; nothing else in this service knows any of it.
"""
