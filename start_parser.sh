#!/usr/bin/env bash
# Run the parser service: its HTTP side and its Redis listener, kept together.
set -u
source "$(dirname "$0")/process_pair.sh"
share_metrics

uvicorn parser_service.main:app \
    --host "${PARSER_HOST:-127.0.0.1}" --port "${PARSER_PORT:-8001}" \
    --no-access-log --no-server-header --log-level warning --timeout-graceful-shutdown 4 &
http=$!
python -m parser_service.redis_listener &
listener=$!

run_pair "HTTP side" "$http" "listener" "$listener"
