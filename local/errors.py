"""The one error of this package."""


class StartError(Exception):
    """The system, or one of its servers, cannot start; the message says why in one sentence."""
