"""Bounded children that parse."""
