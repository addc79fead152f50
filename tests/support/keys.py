"""Name the keys in Redis that tests write and read, as docs/wire-contract.md lists them.

The services' own names are not imported: a test that used those would not notice that a key was
renamed, which would part services of two versions.
"""

QUEUE = "parser:tasks"
READY = f"{QUEUE}:ready"
HOSTS = f"{QUEUE}:hosts"
LEASES = f"{QUEUE}:leases"
ENDED_LEASES = f"{LEASES}:ended"
PARSERS = f"{QUEUE}:parsers"

DONE = f"{QUEUE}:done"
DONE_BYTES = f"{DONE}:bytes"
TAKERS = f"{QUEUE}:takers"
WORKERS = f"{QUEUE}:workers"

RESULTS = "parser:results:"

CELERY_QUEUE = "api"
CELERY_CONTROL_QUEUE = "api.control"
CELERY_UNACKED = "unacked"
CELERY_UNACKED_INDEX = "unacked_index"
CELERY_BINDING = "_kombu.binding.api"


def result_key(job_id: object) -> str:
    """Return the key of a job's result."""
    return f"{RESULTS}{job_id}"


def calls_key(owner: object) -> str:
    """Return the counter of a user's HTTP requests in this minute."""
    return f"{QUEUE}:calls:{owner}"


def taken_key(taker: str) -> str:
    """Return the list of announcements that a results process has taken."""
    return f"{QUEUE}:taken:{taker}"


def waiting_key(host: str) -> str:
    """Return the list of jobs that wait for a host; `*` gives a pattern for all hosts."""
    return f"{QUEUE}:host:{host}:waiting"
