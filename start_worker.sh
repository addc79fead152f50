#!/usr/bin/env bash
# The worker: Celery, which hands requests to the parsers, and beside it the process that
# persists their results, kept together.
set -u
source "$(dirname "$0")/process_pair.sh"
share_metrics

python -m api_service.worker &
celery=$!
python -m api_service.worker.results &
results=$!

run_pair "Celery worker" "$celery" "results process" "$results"
