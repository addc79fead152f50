"""Read and name members of sorted sets: anybody can add one, of any bytes.

What is not UTF-8 is no name of ours, but it must be read, and deleted in its turn, so its odd bytes
become lone surrogates, and bytes again.
"""


def decode_redis_member(raw: bytes) -> str:
    """Return a member as text, whatever its bytes."""
    return raw.decode(errors="surrogateescape")


def encode_redis_member(text: str) -> bytes:
    """Return the bytes of a member, or of a key that is named after one."""
    return text.encode(errors="surrogateescape")
