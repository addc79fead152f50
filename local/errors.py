"""Why the system, or one of its servers, could not be started."""


class StartError(Exception):
    """A server could not be started; the message says why in one sentence."""
