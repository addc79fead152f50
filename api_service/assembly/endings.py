"""Wire endings, in any process: the core's recorders, and what the capabilities add."""

from collections.abc import Sequence

from api_service.capabilities import Capability
from api_service.config import Settings
from api_service.database import Database
from api_service.endings.attempts import RetryPolicy
from api_service.endings.service import CORE_RECORDERS, Endings


def build_endings(
    settings: Settings, database: Database, capabilities: Sequence[Capability]
) -> Endings:
    """Make endings with the steps and recorders of the capabilities, in their order.

    Raises:
        ValueError: two recorders are for the same kind of job.
    """
    recorders = dict(CORE_RECORDERS)
    for capability in capabilities:
        if doubled := recorders.keys() & capability.recorders.keys():
            raise ValueError(
                f"{capability.name}: {sorted(doubled)} have a recorder; name its kinds otherwise"
            )
        recorders |= capability.recorders
    return Endings(
        database=database,
        retries=RetryPolicy(
            max_attempts=settings.max_attempts,
            base_delay=settings.retry_delay,
            max_delay=settings.max_retry_delay,
        ),
        steps=[step for capability in capabilities for step in capability.ending_steps],
        recorders=recorders,
    )
