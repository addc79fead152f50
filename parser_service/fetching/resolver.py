"""Resolve host names to addresses that the guard has vetted.

A name that leads to a refused address and a name that does not exist fail alike: clients must not
learn which names exist inside the network that this service runs in.
"""

import asyncio
import socket

import aiodns
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult

from parser_service.exceptions import BlockedAddressError, DnsError
from parser_service.fetching.url_guard import UrlGuard

log = structlog.get_logger()


class GuardedResolver(AbstractResolver):
    """Resolve names through c-ares: a look-up that hangs occupies no thread and can be cancelled.

    Args:
        guard: refuses the name if any of its addresses may not be connected to.
        timeout: seconds for one name.
        concurrency: look-ups in flight at a time; the limit on pages is separate.
        nameservers: used instead of the machine's own, as `host:port`.
    """

    def __init__(
        self,
        guard: UrlGuard,
        *,
        timeout: float,
        concurrency: int = 256,
        nameservers: tuple[str, ...] = (),
    ) -> None:
        self._guard = guard
        self._timeout = timeout
        self._limit = asyncio.Semaphore(concurrency)
        self._resolver = aiodns.DNSResolver(
            nameservers=list(nameservers) or None, timeout=timeout / 2, tries=2
        )

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            DnsError: there are none, none came in time, or one must not be connected to.
            BlockedAddressError: it is a name of this machine (RFC 6761, 6.3), and that is refused.
        """
        try:
            async with asyncio.timeout(self._timeout), self._limit:
                answer = await self._resolver.getaddrinfo(
                    host, port=port, family=family, type=socket.SOCK_STREAM
                )
        except TimeoutError:
            raise DnsError("The host name could not be resolved in time.") from None
        except aiodns.error.DNSError as error:
            if error.args[0] in _FINAL_ERRORS:
                raise DnsError(_NO_ADDRESS, retryable=False) from None
            raise DnsError from None
        addresses = [(node.family, _decoded(node.addr[0])) for node in answer.nodes]
        if not addresses:
            raise DnsError(_NO_ADDRESS, retryable=False)
        self._vet(host, [address for _, address in addresses])
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, address in addresses
        ]

    def _vet(self, host: str, addresses: list[str]) -> None:
        try:
            for address in addresses:
                self._guard.vet_address(address)
        except BlockedAddressError:
            if host == "localhost" or host.endswith(".localhost"):
                raise
            log.warning("name leads to a refused address", host=host)
            raise DnsError(_NO_ADDRESS, retryable=False) from None

    async def close(self) -> None:
        """Cancel the look-ups in flight."""
        await self._resolver.close()


_NO_ADDRESS = "The host name has no address that may be fetched."

# Errors that a retry will not change: no such name, no such record.
_FINAL_ERRORS = frozenset(
    {aiodns.error.ARES_ENOTFOUND, aiodns.error.ARES_ENODATA, aiodns.error.ARES_EBADNAME}
)


def _decoded(address: bytes | str) -> str:
    return address.decode("ascii") if isinstance(address, bytes) else address
