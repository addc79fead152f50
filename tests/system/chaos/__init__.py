"""Storms of faults under load, of processes, servers and data, in an order that a seed decides."""
