"""Look after accounts on the machine: `python -m api_service.accounts create-admin EMAIL`.

The password comes from a prompt that does not show it, or, if standard input is no terminal, from
its first line: an argument would be seen in the list of processes.
"""

import asyncio
import getpass
import sys

from api_service.accounts.administration import create_admin
from api_service.accounts.email import normalise_email
from api_service.accounts.passwords import Passwords
from api_service.config import Settings
from api_service.database import Database
from api_service.exceptions import ApiError, CannotStartError
from api_service.process import log


def main(arguments: list[str]) -> int:
    """Do what the arguments ask for; return the exit status."""
    match arguments:
        case ["create-admin", text]:
            pass
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    try:
        email = normalise_email(text)
    except ValueError as error:
        sys.stderr.write(f"EMAIL {error}.\n")
        return 1
    try:
        password = _read_password()
        settings = Settings.load_or_exit()
        log.configure("accounts", settings.log_level)
        sys.stderr.write(f"{asyncio.run(_create(settings, email, password))}\n")
    except UnicodeError:
        sys.stderr.write("The password is not UTF-8.\n")
    except (ApiError, CannotStartError) as error:
        sys.stderr.write(f"{error}\n")
    except (EOFError, KeyboardInterrupt):
        sys.stderr.write("Nothing was changed.\n")
    else:
        return 0
    return 1


async def _create(settings: Settings, email: str, password: str) -> str:
    database = Database(settings.database_address, timeout=settings.job_timeout, pool_size=1)
    passwords = Passwords(threads=1)
    try:
        await database.wait_and_require_usable()
        if await create_admin(database, passwords, email=email, password=password):
            return f"{email} is an administrator now."
        return (
            f"{email} had an account. It is an administrator now, with this password; "
            f"its sessions and keys have ended, and its limits are the defaults."
        )
    finally:
        passwords.close()
        await database.dispose()


def _read_password() -> str:
    """Ask for a password twice, or take the first line of what is piped in.

    Raises:
        EOFError: there is none, or the two differ.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n").removesuffix("\r")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        sys.stderr.write("The two passwords differ. ")
        raise EOFError
    return password


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
