"""Serve operators: whether the process lives, whether the system is ready, and metrics."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api_service.dependencies import provided
from api_service.metrics import api as metrics
from api_service.metrics.exposition import CONTENT_TYPE, render
from api_service.operation.gauges import Gauges
from api_service.operation.readiness import ReadinessCheck
from api_service.operation.responses import Health, Readiness

router = APIRouter()

ProvidedReadinessCheck = Annotated[ReadinessCheck, Depends(provided(ReadinessCheck))]
ProvidedGauges = Annotated[Gauges, Depends(provided(Gauges))]


@router.get(
    "/health",
    summary="Whether this process lives",
    response_description="It lives.",
    tags=["Operation"],
)
async def get_health() -> Health:
    """Answer as long as the event loop turns; check nothing else."""
    return Health()


@router.get(
    "/ready",
    summary="Whether requests can be served from end to end",
    response_description="Nothing is missing.",
    tags=["Operation"],
    responses={503: {"description": "Something is missing.", "model": Readiness}},
)
async def get_readiness(check: ProvidedReadinessCheck, response: Response) -> Readiness:
    """Check the database, Redis, the parsers and the workers, and name what is missing."""
    readiness = await check.run()
    if readiness.status != "ready":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return readiness


@router.get("/metrics", include_in_schema=False)
async def show_metrics(gauges: ProvidedGauges) -> Response:
    """Answer Prometheus; see `docs/monitoring.md`."""
    return Response(render(metrics.REGISTRY, await gauges.read()), media_type=CONTENT_TYPE)
