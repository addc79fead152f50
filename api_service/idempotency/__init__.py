"""Repeated requests: the same key gets the first answer, and makes one job."""
