"""Turns the texts of each row into values; a row that is wrong becomes a problem."""

import datetime
import math


async def handler(ctx, data):
    """Called for each request."""
    rows, problems = [], []
    for row in data["rows"]:
        try:
            rows.append(convert(row))
        except ValueError as error:
            problems.append({"line": row["line"], "reason": str(error)})
    ctx.measurement.save("rows", {"good": len(rows), "wrong": len(problems)})
    return {"rows": rows, "problems": problems}


def convert(row):
    """The values of a row."""
    identity = (row["id"] or "").strip()
    if not identity:
        raise ValueError("id is missing")
    day = datetime.datetime.strptime((row["day"] or "").strip(), "%Y-%m-%d").date()
    amount = float(row["amount"] or "")
    if not math.isfinite(amount) or amount < 0:
        raise ValueError(f"amount must be a number from 0, not {row['amount']}")
    return {"id": identity, "day": day.isoformat(), "amount": amount}
