"""Check imports between modules and rooms on floors; those on no floor are capabilities."""

from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

OTHERS = "*"


class FloorsContract(Contract):
    """Let imports go down only, never up and never across a floor.

    A floor is a line of names, separated by `|`, from the top of the house to its ground. The
    floor `*` holds each module and room of the package that no other floor names: so a new room
    obeys the strictest rule, that of a capability, from the day it is made. A name that is
    not a room breaks the contract: it would put a later room of that name on its floor.
    """

    type_name = "floors"

    package = fields.StringField()
    floors = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find names that are not rooms, and imports between two rooms that do not go down."""
        del verbose
        # A field holds the value that it parsed; import-linter's types know only the field.
        package, floors = cast("str", self.package), cast("list[str]", self.floors)
        rooms = {child.rpartition(".")[2] for child in graph.find_children(package)}
        if absent := sorted(set().union(*_named(floors)) - rooms - {OTHERS}):
            return ContractCheck(kept=False, metadata={"breaches": [], "absent": absent})
        floor_of = _floor_of_each(rooms, floors)
        breaches = sorted(
            f"{importer} -> {imported}"
            for importer, imported in _imports_between_rooms(graph, package)
            if floor_of[_room(importer)] >= floor_of[_room(imported)]
        )
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches, "absent": []})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """List the names that are not rooms, or the imports that go up or across."""
        for name in check.metadata["absent"]:
            output.print_error(f"- {self.package} has no room {name}: remove it from the floors")
        for breach in check.metadata["breaches"]:
            output.print_error(f"- {breach}")


def _floor_of_each(rooms: set[str], floors: list[str]) -> dict[str, int]:
    """Number the rooms' floors from the top, 0, to the ground."""
    named = _named(floors)
    others = rooms - set().union(*named)
    found = {}
    for number, names in enumerate(named):
        for room in names | (others if OTHERS in names else set()):
            found[room] = number
    return found


def _named(floors: list[str]) -> list[set[str]]:
    return [{name.strip() for name in floor.split("|")} for floor in floors]


def _imports_between_rooms(graph: ImportGraph, package: str) -> list[tuple[str, str]]:
    inside = f"{package}."
    return [
        (importer, imported)
        for importer in graph.modules
        if importer.startswith(inside)
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported.startswith(inside) and _room(importer) != _room(imported)
    ]


def _room(module: str) -> str:
    return module.split(".")[1]
