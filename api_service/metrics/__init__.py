"""Count events for Prometheus: a registry for each kind of process, and its exposition.

`docs/monitoring.md` lists all metrics. No label takes its values from outside: each value would
be kept for the life of the process.
"""
