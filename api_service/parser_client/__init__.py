"""Everything that this service knows of the parser: its HTTP call, its messages, keys and scripts.

Other rooms call these classes and know nothing of Redis keys or message formats.
"""
