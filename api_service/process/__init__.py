"""Provide what every process of this service needs, whatever its work."""
