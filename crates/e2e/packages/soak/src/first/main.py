"""Logs and measures each request."""

from public_input_pb2 import Work


async def handler(ctx, data):
    work = Work()
    data.Unpack(work)
    ctx.logger.info("work %d", work.number)
    ctx.measurement.save("soak", {"number": work.number}, {"place": "first"})
    work.passed += "first "
    return work
