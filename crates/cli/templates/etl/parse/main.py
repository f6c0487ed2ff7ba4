"""Reads the table: one dict for each row."""

import csv

COLUMNS = ["id", "day", "amount"]


async def handler(ctx, data):
    """Called for each request. The next node gets what it returns."""
    reader = csv.DictReader(data["csv"].splitlines())
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
    if missing:
        raise ValueError(f"the table has no column {', '.join(missing)}")
    rows = [{"line": reader.line_num, **{name: row[name] for name in COLUMNS}} for row in reader]
    ctx.logger.info(f"rows: {len(rows)}")
    return {"rows": rows}
