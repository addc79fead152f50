#!/usr/bin/env bash
# Run the worker: Celery, which hands requests to the parsers, and the results process, which
# persists what they return, kept together.
set -u
source "$(dirname "$0")/process_pair.sh"
share_metrics

python -m api_service.worker &
celery=$!
python -m api_service.worker.results &
results=$!

run_pair "Celery worker" "$celery" "results process" "$results"
