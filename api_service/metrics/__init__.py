"""What Prometheus is told: a registry for each kind of process, and how it is shown.

`docs/monitoring.md` lists all of it. Nothing here has labels whose values come from outside:
each would be kept for ever.
"""
