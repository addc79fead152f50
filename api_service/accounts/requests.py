"""Bodies that clients send about accounts.

A member that is not known is refused: somebody who sends `role` with a registration expects what
will not happen. Passwords and tokens are `SecretStr`, which nothing prints by accident.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from api_service.accounts.email import normalise_email
from api_service.accounts.users import Role
from api_service.caller import Scope

MAX_NAME_LENGTH = 100
MAX_SENT_EMAIL_LENGTH = 320
"""Characters of an address before it is stripped and looked at."""
MAX_SAFE_INTEGER = 2**53 - 1
"""The largest number that every reader of JSON keeps."""


def _require_visible(text: str) -> str:
    if any(not one.isprintable() for one in text):
        raise ValueError("must have visible characters only")
    return text


def _require_text(value: object) -> object:
    if not isinstance(value, str | datetime):  # pydantic would take a number for Unix time
        sentence = "must be a time as RFC 3339 writes it, such as 2030-01-02T03:04:05Z"
        raise ValueError(sentence)  # noqa: TRY004 - pydantic turns no TypeError into a refusal
    return value


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be before the year 10000") from None


def _require_unicode(password: SecretStr) -> SecretStr:
    try:
        password.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("must be text in valid Unicode") from None
    return password


Email = Annotated[
    str,
    Field(
        description="An e-mail address; upper and lower case are the same.",
        examples=["ada@example.org"],
        min_length=3,
        max_length=MAX_SENT_EMAIL_LENGTH,
    ),
    AfterValidator(normalise_email),
]
Password = Annotated[
    SecretStr,
    Field(description="8 to 256 characters, and no common password."),
    AfterValidator(_require_unicode),
]
Limit = Annotated[int | None, Field(ge=0, le=MAX_SAFE_INTEGER)]


class _Body(BaseModel):
    """A body in which each member has exactly its type, and none is unknown."""

    model_config = ConfigDict(extra="forbid", strict=True)


class CredentialsBody(_Body):
    """The body of `POST /auth/register`, `POST /auth/login` and `POST /auth/session`."""

    email: Email
    password: Password


class PasswordBody(_Body):
    """The body of `POST /auth/password`."""

    current: Password
    new: Password


class KeyBody(_Body):
    """The body of `POST /auth/keys`."""

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_LENGTH),
        AfterValidator(_require_visible),
        Field(description="What the key is for.", examples=["nightly import"]),
    ]
    scopes: Annotated[
        list[Annotated[Scope, Field(strict=False)]] | None,
        Field(
            min_length=1,
            max_length=10,
            description="What the key may do; `read` and `write` if absent.",
        ),
    ] = None
    expires_at: Annotated[
        Annotated[
            AwareDatetime,
            Field(strict=False),
            BeforeValidator(_require_text),
            AfterValidator(_to_utc),
        ]
        | None,
        Field(description="When the key ends; never if absent."),
    ] = None


class LimitsBody(_Body):
    """Limits of a user; a member that is absent stays, null is the default again."""

    requests_per_minute: Annotated[
        int | None,
        Field(
            ge=1,
            le=MAX_SAFE_INTEGER,
            description="HTTP requests in a minute; at least 1, so that it can be undone.",
        ),
    ] = None
    unfinished_requests: Annotated[
        Limit, Field(description="Parse requests that have not ended.")
    ] = None
    stored_bytes: Annotated[Limit, Field(description="Bytes of stored pages.")] = None


class UserChangeBody(_Body):
    """The body of `PATCH /admin/users/{user_id}`; what is absent or null stays."""

    is_active: Annotated[bool | None, Field(description="False shuts the user out at once.")] = None
    role: Annotated[Role | None, Field(strict=False, description="`user` or `admin`.")] = None
    limits: Annotated[LimitsBody | None, Field(description="Limits to change.")] = None
