"""Run jobs from Redis: take them, run them, park them, store results, hand jobs back."""
