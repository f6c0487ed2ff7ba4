"""Shows what it got."""

import json


async def handler(ctx, data):
    return {"text": json.dumps(data, sort_keys=True, ensure_ascii=False)}
