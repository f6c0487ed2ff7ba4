"""The last node of `classify`: picks the digit and measures how sure the model is."""

from public_input_pb2 import Classification, Scores


async def handler(ctx, data):
    scores = Scores()
    data.Unpack(scores)

    confidence = max(scores.probabilities)
    digit = list(scores.probabilities).index(confidence)
    ctx.measurement.save("digit", {"confidence": confidence}, {"digit": str(digit)})
    ctx.logger.info(f"digit {digit}, confidence {confidence:.3f}")
    return Classification(digit=digit, confidence=confidence, probabilities=scores.probabilities)
