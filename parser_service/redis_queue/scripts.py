"""Load the Lua scripts that run inside Redis.

Each script is a file in `lua/`, with a header that names its KEYS and ARGV. A line
`-- @include clock` is replaced by the text of `lua/clock.lua`. A script's `#!lua` line stays
line 1, where Redis looks for it; an included file has none.
"""

import re
from functools import cache
from pathlib import Path

LUA_FOLDER = Path(__file__).with_name("lua")
INCLUDE_LINE = re.compile(r"^-- @include (\w+)\n", re.MULTILINE)


@cache
def read_script(name: str) -> str:
    """Return the text of a script, with its includes in place.

    Raises:
        LookupError: there is no file of that name.
    """
    path = LUA_FOLDER / f"{name}.lua"
    if not path.is_file():
        raise LookupError(f"There is no script {name}.lua in {LUA_FOLDER}.")
    return INCLUDE_LINE.sub(lambda found: read_script(found[1]), path.read_text())
