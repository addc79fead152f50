"""Kinds of settings: what a variable may be, and the words for it."""

import ssl
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

SECONDS_PER_DAY = 86_400
BYTES_PER_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a number, for people."""

    name: str


@dataclass(frozen=True, slots=True)
class FormatInWords:
    """What a text must be, for people."""

    words: str


def _check_certificates(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} is not a file; write the path of a file of certificates")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):
        raise ValueError(f"{path} cannot be read as certificates in PEM form") from None
    return path


def _check_parent_folder(path: Path) -> Path:
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}; write the path of a file in one")
    return path


def require_network(text: str) -> None:
    """Refuse what is not a network, or an address, which is a network of one.

    Raises:
        ValueError: the text is neither; the message says what to write.
    """
    try:
        ip_network(text)
    except ValueError:
        try:
            meant = ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"{text} is not a network; write 10.1.2.0/24 or fd00::/8") from None
        raise ValueError(f"{text} is an address; did you mean {meant}?") from None


_NAMES_IN_QUEUE = (
    *("attempts:", "calls:", "celery:", "done", "done:bytes", "holders", "host:", "hosts"),
    "leases",
    *("leases:ended", "parsers", "ready", "taken:", "takers", "taking:", "turn:", "workers"),
)
"""What follows TASK_QUEUE and a colon in the names of other keys; a colon ends a beginning."""


def require_separate_results(task_queue: str, result_prefix: str) -> None:
    """Refuse names by which a result could stand under another key of ours: ids may be any text.

    Raises:
        ValueError: the message says what to write.
    """
    names = (task_queue, *(f"{task_queue}:{name}" for name in _NAMES_IN_QUEUE))
    if any(
        name.startswith(result_prefix) or (name[-1] == ":" and result_prefix.startswith(name))
        for name in names
    ):
        raise ValueError(
            f"results would be among the keys of TASK_QUEUE, which is {task_queue!r}; "
            f"write names that begin differently, such as parser:tasks and parser:results:"
        )


def _refuse_name_of_celery(name: str) -> str:
    if name in ("api", "api.control", "celery") or name.startswith(("unacked", "_kombu.")):
        raise ValueError(
            "Celery keeps its own messages there; write another name, such as parser:tasks"
        )
    return name


Seconds = Annotated[float, Field(gt=0, le=SECONDS_PER_DAY, allow_inf_nan=False), Unit("seconds")]
Bytes = Annotated[int, Field(ge=1, le=1024 * BYTES_PER_GIB), Unit("bytes")]
Days = Annotated[int, Field(ge=1, le=36_500), Unit("days")]
Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]

CertificateFile = Annotated[Path, AfterValidator(_check_certificates)]
AliveFile = Annotated[Path, AfterValidator(_check_parent_folder)]
RedisKeyName = Annotated[
    str,
    Field(pattern=r"^[\x21-\x7e]{1,200}$"),
    FormatInWords("1 to 200 visible ASCII characters, without spaces"),
]
TaskQueueName = Annotated[RedisKeyName, AfterValidator(_refuse_name_of_celery)]
HostOrAddress = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._:-]{1,253}$"),
    FormatInWords("an address or a name, such as 127.0.0.1, ::1 or localhost"),
]
