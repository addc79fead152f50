"""What operators ask of the API: health, readiness and gauges."""
