"""Answer operators: health, readiness and gauges."""
