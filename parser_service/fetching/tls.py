"""Make the TLS context of connections to sites: certificates are always verified."""

import ssl
from pathlib import Path
from typing import Any

from parser_service.fetching.connection_progress import current_progress


class HandshakeRecordingTlsContext(ssl.SSLContext):
    """Verify certificates and names, and record that the current request's handshake began.

    The record distinguishes a handshake that stalls from a connection that never opened.
    """

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext.wrap_bio`."""
        if (progress := current_progress.get()) is not None:
            progress.has_begun_handshake = True
        return super().wrap_bio(*args, **kwargs)


def make_client_tls_context(ca_bundle: Path | None = None) -> HandshakeRecordingTlsContext:
    """Make a context that trusts the system's authorities, or only an operator's own bundle."""
    context = HandshakeRecordingTlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_bundle)
    return context
