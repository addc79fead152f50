#!/usr/bin/env bash
# The worker: Celery, which hands requests to the parsers, and beside it the process that
# persists their results, kept together.
set -u
source "$(dirname "$0")/start_pair.sh"

# One process that does one thing at a time: a task takes about a millisecond, because none
# waits for a page. More come from more replicas.
celery -A api_service.celery_app worker --pool=solo --queues=api,api.control \
    --without-gossip --without-mingle --without-heartbeat --loglevel=warning &
celery=$!
python -m api_service.results &
results=$!

run_pair "Celery worker" "$celery" "results process" "$results"
