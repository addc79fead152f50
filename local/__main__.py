"""Run the whole system: `python -m local`, or `make run`, which installs its packages first.

`python -m local admin EMAIL`, or `make admin EMAIL=...`, makes an administrator of the system that
runs. `python -m local with-servers COMMAND ...` runs one command with throw-away servers.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from local.admin import create_admin
from local.errors import StartError
from local.system import ROOT, System
from local.throwaway_servers import run_with_servers


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; return the exit status."""
    try:
        match arguments:
            case []:
                asyncio.run(System(dict(os.environ)).run())
                return 0
            case ["admin", email]:
                return create_admin(email, os.environ, ROOT)
            case ["with-servers", *command] if command:
                with tempfile.TemporaryDirectory(prefix="page-parser-") as folder:
                    Path(folder).chmod(0o755)
                    return run_with_servers(command, Path(folder))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except StartError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
