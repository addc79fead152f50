"""Count events for Prometheus: a registry for each kind of process, and its exposition.

`docs/monitoring.md` lists all metrics. No label takes its values from outside: each value would
be kept for the life of the process.
"""

import os
import sys
from pathlib import Path

# Prometheus's library maps files of this folder as soon as a metric is defined.
if not Path(_folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR", ".")).is_dir():
    sys.exit(f"PROMETHEUS_MULTIPROC_DIR: there is no folder {_folder}; make it or unset it.")
