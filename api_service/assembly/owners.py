"""Wire the chores that owners make."""

from collections.abc import Sequence

from api_service.capabilities import Capability
from api_service.database import Database
from api_service.endings.service import Endings
from api_service.owners.chores import OwnerChores
from api_service.owners.deletion import OwnedData
from api_service.queueing.chores import PeriodicChores
from api_service.stored_bytes.service import StoredBytesFold


def build_owner_chores(
    database: Database,
    endings: Endings,
    chores: PeriodicChores,
    capabilities: Sequence[Capability],
) -> OwnerChores:
    """Make the chores; a deletion also erases what the capabilities keep."""
    erasers = [eraser for capability in capabilities for eraser in capability.erasers]
    owned_data = OwnedData(database=database, endings=endings, erasers=erasers)
    return OwnerChores(owned_data=owned_data, fold=StoredBytesFold(database), chores=chores)
