"""The API's collaborators, those of capabilities included."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api_service.assembly import api
from api_service.assembly.api import open_api
from api_service.capabilities import CAPABILITIES, Capability
from api_service.config import Settings
from api_service.database import Database
from api_service.edge.draining import Draining
from api_service.operation.gauges import Gauges
from api_service.process.collaborators import CollaboratorRegistry
from api_service.service import ParseRequestService


class _Extra:
    is_open = True


async def test_a_capability_adds_its_own_and_closes_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def open_extra(_: Settings, collaborators: CollaboratorRegistry) -> AsyncIterator[None]:
        assert isinstance(collaborators.get(Database), Database)
        extra = _Extra()
        collaborators.add(extra)
        yield
        extra.is_open = False

    capabilities = (*CAPABILITIES, Capability(name="extra", open=open_extra))
    monkeypatch.setattr(api, "CAPABILITIES", capabilities)
    async with open_api(settings, Draining()) as collaborators:
        extra = collaborators.get(_Extra)
        assert extra.is_open
        assert isinstance(collaborators.get(ParseRequestService), ParseRequestService)
        assert isinstance(collaborators.get(Gauges), Gauges)
    assert not extra.is_open


def test_capabilities_have_names_of_their_own() -> None:
    names = [capability.name for capability in CAPABILITIES]
    assert len(set(names)) == len(names)
