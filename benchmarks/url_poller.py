"""Poll a URL in a separate process, so that no other work delays the measurement.

Run as `python -m benchmarks.url_poller URL`. When standard input ends, it prints a JSON list: the
milliseconds that each answer took.
"""

import http.client
import json
import sys
import threading
from time import perf_counter
from urllib.parse import urlsplit

PAUSE_SECONDS = 0.01


def main(url: str) -> None:
    """Ask until told to stop."""
    parts = urlsplit(url)
    stopping = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        stopping.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    times = []
    while not stopping.wait(PAUSE_SECONDS):
        started = perf_counter()
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        answer.read()
        times.append((perf_counter() - started) * 1000)
        assert answer.status == 200, answer.status
    print(json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1])
