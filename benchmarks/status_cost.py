"""What asking for a status costs, by how many ended requests are kept."""

from random import Random
from time import perf_counter

from benchmarks.load import Load, percentile
from benchmarks.report import Section, Table, figure, note
from benchmarks.usage import POSTGRES, Meter

FEW, MANY = 1000, 1_000_000
FILL = """
    INSERT INTO parse_requests (url, status, title, html_content, attempts, created_at)
    SELECT 'https://example.com/' || n, 'success', 'Page ' || n, repeat(md5(n::text), 8), 1,
        now() - make_interval(secs => n)
    FROM generate_series(1, $1) AS n
"""


async def measure(load: Load, *, quick: bool) -> Section:
    """The same calls with few and with many rows."""
    await load.warm_up()
    calls = 600 if quick else 2500
    sizes = (FEW, MANY // 10 if quick else MANY)
    found = [await _cost(load, rows, calls=calls) for rows in sizes]
    ratio = [figure(many / few) for few, many in zip(*found, strict=True)]
    rows = [
        *(
            (f"{size:,} rows", *map(figure, costs))
            for size, costs in zip(sizes, found, strict=True)
        ),
        ("ratio", *ratio),
    ]
    section = Section()
    section.add(
        "`GET /status/{id}` of any ended request, one call at a time, by how many rows there are.",
        Table(("kept", "API, CPU ms", "PostgreSQL, CPU ms", "p50, ms"), rows),
    )
    return section


async def _cost(load: Load, rows: int, *, calls: int) -> tuple[float, float, float]:
    """CPU milliseconds of the API and of PostgreSQL, and the median call."""
    there = await load.database.fetchval("SELECT count(*) FROM parse_requests")
    await load.database.execute(FILL, max(0, rows - there), timeout=300)
    await load.database.execute("VACUUM ANALYZE parse_requests", timeout=300)
    await load.database.execute("CHECKPOINT", timeout=300)
    ids = Random(1).choices(range(1, rows + 1), k=calls)
    for request_id in ids[:100]:
        await load.get(f"/status/{request_id}")
    times = []
    meter = Meter(load.system)
    for request_id in ids:
        started = perf_counter()
        await load.get(f"/status/{request_id}")
        times.append((perf_counter() - started) * 1000)
    cost = meter.cost(calls)
    median = percentile(times, 0.5)
    note(f"status with {rows:,} rows: {median:.2f} ms")
    return cost.ms_per_job("api"), cost.ms_per_job(POSTGRES), median
