"""Objects that are found by class."""

import pytest

from api_service.process.collaborators import CollaboratorRegistry


class _Base: ...


class _Special(_Base): ...


def test_each_object_is_found_by_its_own_class() -> None:
    base, special = _Base(), _Special()
    collaborators = CollaboratorRegistry(base)
    collaborators.add(special)
    assert collaborators.get(_Base) is base
    assert collaborators.get(_Special) is special


def test_an_absent_object_is_named() -> None:
    with pytest.raises(LookupError, match="_Base"):
        CollaboratorRegistry(_Special()).get(_Base)


def test_there_is_one_of_each_class() -> None:
    with pytest.raises(ValueError, match="_Base"):
        CollaboratorRegistry(_Base(), _Base())
