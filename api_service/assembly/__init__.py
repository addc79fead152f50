"""Wiring: how each kind of process makes the objects that its parts share."""
