"""Turn a URL into bytes: everything that touches a site's addresses, sockets or HTTP."""
