"""Asks the trained model."""

from classifier import Classifier
from public_input_pb2 import Classification, Fruit


async def init(ctx):
    """Called once, before the first request."""
    ctx.set("model", Classifier.load(ctx.path("models/classifier.json")))


async def handler(ctx, data):
    """Called for each request."""
    fruit = Fruit()
    data.Unpack(fruit)
    if fruit.weight <= 0 or fruit.width <= 0:
        raise ValueError("weight and width must be positive")

    model = ctx.get("model")
    (probabilities,) = model.predict_proba([[fruit.weight, fruit.width]])
    confidence, label = max(zip(probabilities, model.classes_))
    ctx.measurement.save("classification", {"confidence": confidence}, {"label": label})
    if fruit.label:
        await ctx.prediction.save(predicted_value=label, true_value=fruit.label)
    return Classification(
        label=label,
        confidence=confidence,
        probabilities=dict(zip(model.classes_, probabilities)),
    )
