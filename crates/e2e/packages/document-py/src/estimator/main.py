import joblib
import pandas as pd
from google.protobuf.json_format import MessageToDict
from public_input_pb2 import ModelOutput, Response

MEASUREMENT = "estimates"
MEASUREMENT_TAGS = {"source": "document"}


async def init(ctx):
    ctx.logger.info("[worker init]")
    ctx.set('model', joblib.load(ctx.path('models/model.joblib')))
    ctx.set('currency', 'EUR')
    prices.append(pd.Series(ctx.get('model')))


async def handler(ctx, data):
    req = ModelOutput()
    data.Unpack(req)
    market_price, label = get_market_price_and_label(req.price_category, ctx.get('currency'))
    ctx.logger.info(f"Estimated market price[{market_price}] with label[{label}]")
    # Stores input fields and prediction to measurements
    measurement_fields = MessageToDict(req.request, preserving_proto_field_name=True,
                                       including_default_value_fields=True)
    measurement_fields['prediction'] = label
    ctx.measurement.save(MEASUREMENT, measurement_fields, MEASUREMENT_TAGS)
    res = Response()
    res.success = True
    res.message = 'Predicted market price'
    res.market_price = market_price
    res.category = label
    return res


prices = []


def get_market_price_and_label(category, currency):
    return float(prices[0][category]), f"{category} in {currency}"
