"""Saves a prediction where the request asks for one."""

from public_input_pb2 import Work


async def handler(ctx, data):
    work = Work()
    data.Unpack(work)
    if work.prediction:
        await ctx.prediction.save(
            predicted_value="a", true_value="b", extra={"number": work.number}
        )
    work.passed += "second "
    return work
