"""Errors of accounts."""

from http import HTTPStatus

from api_service.exceptions import ApiError, NotFoundError


class EmailTakenError(ApiError):
    """An account has this address."""

    code = "email_taken"
    http_status = HTTPStatus.CONFLICT
    message = "There is an account with this address; log in, or use another address."


class RegistrationClosedError(ApiError):
    """Strangers may not create accounts here."""

    code = "registration_closed"
    http_status = HTTPStatus.FORBIDDEN
    message = "This server creates no accounts for strangers; ask its administrator for one."


class WeakPasswordError(ApiError):
    """The password is short, long or common."""

    code = "weak_password"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY
    message = "The password must have 8 to 256 characters and not be a common one."


class BadCredentialsError(ApiError):
    """The address or the password is wrong; nobody is told which."""

    code = "bad_credentials"
    http_status = HTTPStatus.UNAUTHORIZED
    message = "The address or the password is wrong."


class TooManyAttemptsError(ApiError):
    """Too many passwords were tried.

    Args:
        retry_after: seconds after which the next one may be tried.
    """

    code = "too_many_attempts"
    http_status = HTTPStatus.TOO_MANY_REQUESTS
    message = "There were too many attempts; wait before the next one."

    def __init__(self, retry_after: int = 60) -> None:
        super().__init__()
        self.retry_after = retry_after


class PasswordsBusyError(ApiError):
    """Too many passwords are being checked at the moment."""

    code = "passwords_busy"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Too many passwords are being checked at the moment."
    retry_after = 5


class LastAdminError(ApiError):
    """The change would leave nobody who administers."""

    code = "last_admin"
    http_status = HTTPStatus.CONFLICT
    message = "This is the last active administrator; make another user one first."


class TooManyKeysError(ApiError):
    """The user has as many keys as one may have."""

    code = "too_many_keys"
    http_status = HTTPStatus.CONFLICT
    message = "You have 1,000 keys; delete some first."


class NoSuchUserError(NotFoundError):
    """No user has this id."""

    message = "There is no user with this id."


class NoSuchKeyError(NotFoundError):
    """The caller has no key with this id."""

    message = "You have no key with this id."


class NoSuchDeletionError(NotFoundError):
    """No account that was deleted had this id."""

    message = "There is no deletion with this id."
