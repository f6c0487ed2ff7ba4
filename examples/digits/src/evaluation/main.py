"""The last node of `evaluate`: records what the model read against what a person says."""

from public_input_pb2 import CORRECT, NEW_LABEL, WRONG, Evaluation, Scores


async def init(ctx):
    ctx.set("labels", [str(digit) for digit in range(10)])


async def handler(ctx, data):
    scores = Scores()
    data.Unpack(scores)

    labels = ctx.get("labels")
    if scores.label not in labels:
        ctx.logger.warning(f"the model does not know the label '{scores.label}'")
        await ctx.prediction.save(error=ctx.prediction.ERR_NEW_LABELS)
        return Evaluation(verdict=NEW_LABEL, label=scores.label)

    confidence = max(scores.probabilities)
    predicted = labels[list(scores.probabilities).index(confidence)]
    correct = predicted == scores.label
    ctx.measurement.save(
        "evaluation", {"correct": correct, "confidence": confidence}, {"label": scores.label}
    )
    await ctx.prediction.save(predicted_value=predicted, true_value=scores.label)
    return Evaluation(
        verdict=CORRECT if correct else WRONG, predicted=predicted, label=scores.label
    )
