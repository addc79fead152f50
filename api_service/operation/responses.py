"""Define the answers that operators get."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Health(BaseModel):
    """The answer of `GET /health`."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The answer of `GET /ready`."""

    status: Annotated[Literal["ready", "not ready"], Field(description="The sum of the checks.")]
    checks: Annotated[
        dict[str, str],
        Field(
            description="`ok` or what is missing, for each part that work needs.",
            examples=[{"database": "ok", "redis": "ok", "parser": "ok", "worker": "ok"}],
        ),
    ]
