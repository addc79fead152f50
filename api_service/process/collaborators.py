"""Find the objects that the parts of one process share, by class."""

from typing import TypeVar, cast

T = TypeVar("T")


class CollaboratorRegistry:
    """Hold one object of each class.

    A room asks for what it needs by class, so only the assembly has to know every room.
    """

    def __init__(self, *objects: object) -> None:
        self._by_class: dict[type, object] = {}
        for one in objects:
            self.add(one)

    def add(self, collaborator: object) -> None:
        """Register an object under its class.

        Raises:
            ValueError: another object of this class is registered.
        """
        kind = type(collaborator)
        if kind in self._by_class:
            raise ValueError(f"a second {kind.__name__}: collaborators are one of each class")
        self._by_class[kind] = collaborator

    def get(self, kind: type[T]) -> T:
        """Return the object of exactly this class.

        Raises:
            LookupError: nothing registered one.
        """
        found = self.find(kind)
        if found is None:
            raise LookupError(f"no {kind.__name__}: the assembly or a capability must add one")
        return found

    def find(self, kind: type[T]) -> T | None:
        """Return the object of exactly this class, or None if nothing registered one."""
        return cast("T | None", self._by_class.get(kind))
