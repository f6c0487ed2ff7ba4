"""The first node of both workflows: checks an image and prepares it for the model."""

import pixels
from public_input_pb2 import (
    MISSING_VALUES,
    Classification,
    ClassifyRequest,
    EvaluateRequest,
    Evaluation,
    Features,
)


async def handler(ctx, data):
    if data.Is(EvaluateRequest.DESCRIPTOR):
        return await prepare_evaluation(ctx, data)
    return prepare_classification(ctx, data)


def prepare_classification(ctx, data):
    request = ClassifyRequest()
    data.Unpack(request)
    pixels.check(request.pixels)

    if pixels.is_blank(request.pixels):
        ctx.logger.info("the image is blank: the model is not asked")
        ctx.early_exit()
        return Classification()
    return Features(values=pixels.scale(request.pixels))


async def prepare_evaluation(ctx, data):
    request = EvaluateRequest()
    data.Unpack(request)
    pixels.check(request.pixels)

    if not request.label or pixels.is_blank(request.pixels):
        await ctx.prediction.save(error=ctx.prediction.ERR_MISSING_VALUES)
        ctx.early_exit()
        return Evaluation(verdict=MISSING_VALUES, label=request.label)
    return Features(values=pixels.scale(request.pixels), label=request.label)
