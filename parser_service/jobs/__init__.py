"""Run jobs from the Redis list: take, run, park, store, hand back."""
