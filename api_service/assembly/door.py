"""Wire the door: what finds out who calls, and what each call asks of its caller."""

from collections.abc import Iterator, Sequence

import redis.asyncio as aioredis

from api_service.caller import CallerLookup, Scope
from api_service.capabilities import Capability
from api_service.config import Settings
from api_service.edge.anonymous import AnonymousAccess
from api_service.edge.call_rules import CallRules
from api_service.edge.door import Door
from api_service.edge.request_rates import RequestRates
from api_service.parser_client.keys import Keys
from api_service.process.collaborators import CollaboratorRegistry
from api_service.routes import CALL_SCOPES


def build_call_rules(capabilities: Sequence[Capability]) -> CallRules:
    """Collect what the core and the capabilities say of their calls."""
    scopes: dict[str, Scope | None] = dict(CALL_SCOPES)
    for capability in capabilities:
        scopes |= capability.call_scopes
    return CallRules(
        public=[call for capability in capabilities for call in capability.public_calls],
        operator=[call for capability in capabilities for call in capability.operator_calls],
        scopes=scopes,
    )


def build_access(settings: Settings, redis: aioredis.Redis) -> Iterator[object]:
    """Make what capabilities may ask: who is admitted, and what callers use of their minute."""
    yield AnonymousAccess.of(settings)
    yield RequestRates(redis, name_key=Keys.of(settings).calls)


def build_door(settings: Settings, collaborators: CollaboratorRegistry) -> Door:
    """Make the door, once a capability has added what finds users by their tokens."""
    return Door(
        access=collaborators.get(AnonymousAccess),
        rates=collaborators.get(RequestRates),
        lookup=collaborators.find(CallerLookup),
        metrics_token=settings.metrics_token,
    )
