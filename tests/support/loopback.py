"""Tell URLs that leave this machine."""

from ipaddress import ip_address

import ada_url


def leads_elsewhere(text: object) -> bool:
    """Return whether a text is a URL with an address that is not this machine's own.

    A name does not count: where it leads, a name server says.
    """
    try:
        return not ip_address(ada_url.URL(str(text)).hostname.strip("[]")).is_loopback
    except ValueError:  # no URL, or a name
        return False
