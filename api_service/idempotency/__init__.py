"""Clients that ask again with the key of their first request get its answer, and one job."""
