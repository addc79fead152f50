"""Reduce a robots.txt to what one robot has to obey, in time and memory that are linear.

A parser that knows all robots copies each group's rules for each of its robots: a file of 60 KB
can have a thousand robots with thousands of rules. And a file begins with what its writer's
editor put there: RFC 9309, 2.2, is about the text behind a byte order mark.
"""

import re

_COMMENT = re.compile("#.*")
# The spellings that Protego, which reads what is left, also understands.
_ROBOT_LINE = re.compile(r"user[- ]?agent\s*(?:[:\s]|$)(.*)", re.IGNORECASE)
_SITE_LINE = re.compile(r"(?:sitemaps?|site-map|host)\s*[:\s]", re.IGNORECASE)
_TOKEN = re.compile(r"[a-z_-]+", re.IGNORECASE)


def reduce_to_groups_of(robot: str, text: str) -> str:
    """Return the groups of one robot, and those of all robots.

    Args:
        robot: its product token (RFC 9309, 2.2.1); letters in either case.
        text: a whole robots.txt.
    """
    robot = robot.lower()
    kept: list[str] = []
    robots: set[str] = set()
    is_in_rules = True
    for raw in text.removeprefix("\ufeff").splitlines():
        line = _COMMENT.sub("", raw).strip()
        if not line or _SITE_LINE.match(line):
            continue
        if (named := _ROBOT_LINE.match(line)) is None:
            if robots and not is_in_rules:
                kept += [f"User-agent: {name}" for name in sorted(robots)]
            is_in_rules = True
            if robots:
                kept.append(line)
            continue
        if is_in_rules:
            robots, is_in_rules = set(), False
        if (name := _token(named[1].strip())) in (robot, "*"):
            robots.add(name)
    return "\n".join(kept)


def _token(value: str) -> str:
    """Return the product token that a value begins with: versions and remarks may follow."""
    if value.startswith("*"):
        return "*"
    found = _TOKEN.match(value)
    return found[0].lower() if found else ""
