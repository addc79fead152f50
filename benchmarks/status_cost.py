"""What asking for a status costs, by how many ended requests are kept."""

from random import Random
from time import perf_counter

from benchmarks.load import Load, percentile
from benchmarks.report import Section, Table, format_figure, show_progress
from benchmarks.usage import POSTGRES, Meter

FEW, MANY = 1000, 1_000_000
FILL = """
    INSERT INTO parse_requests (url, status, title, html_content, attempts, created_at)
    SELECT 'https://example.com/' || n, 'success', 'Page ' || n, repeat(md5(n::text), 8), 1,
        now() - make_interval(secs => n)
    FROM generate_series(1, $1) AS n
"""


Costs = tuple[float, float, float]
"""CPU milliseconds of the API and of PostgreSQL for a call, and the median call."""


async def measure(load: Load, *, quick: bool) -> Section:
    """The same calls with few and with many rows."""
    await load.warm_up()
    calls = 600 if quick else 2500
    many = MANY // 10 if quick else MANY
    await _fill(load, FEW)
    before = await _cost(load, range(1, FEW + 1), calls=calls)
    await _fill(load, many)
    after = await _cost(load, range(many - FEW + 1, many + 1), calls=calls)
    anywhere = await _cost(load, range(1, many + 1), calls=calls)
    rows = [
        (f"{FEW:,}, any of them", *map(format_figure, before)),
        (f"{many:,}, one of the newest {FEW:,}", *map(format_figure, after)),
        ("ratio of these", *(format_figure(b / a) for a, b in zip(before, after, strict=True))),
        (f"{many:,}, any of them", *map(format_figure, anywhere)),
    ]
    section = Section()
    section.add(
        "`GET /status/{id}` of an ended request, one call at a time, by how many rows there are. "
        "Rows that nobody has asked for in a while are not in PostgreSQL's buffers: fetching them "
        "from the system's is what the last line has more.",
        Table(("kept, and asked for", "API, CPU ms", "PostgreSQL, CPU ms", "p50, ms"), rows),
    )
    return section


async def _fill(load: Load, rows: int) -> None:
    there = await load.database.fetchval("SELECT count(*) FROM parse_requests")
    await load.database.execute(FILL, max(0, rows - there), timeout=300)
    # What PostgreSQL would do of all that later, it is to do now.
    await load.database.execute("VACUUM ANALYZE parse_requests", timeout=300)
    await load.database.execute("CHECKPOINT", timeout=300)


async def _cost(load: Load, ids: range, *, calls: int) -> Costs:
    chosen = Random(1).choices(ids, k=calls)
    for request_id in chosen[:300]:
        await load.get(f"/status/{request_id}")
    times = []
    meter = Meter(load.system)
    for request_id in chosen:
        started = perf_counter()
        await load.get(f"/status/{request_id}")
        times.append((perf_counter() - started) * 1000)
    cost = meter.cost(calls)
    median = percentile(times, 0.5)
    show_progress(f"status of ids {ids[0]:,} to {ids[-1]:,}: {median:.2f} ms")
    return cost.ms_per_job("api"), cost.ms_per_job(POSTGRES), median
