def init(ctx):
    ctx.logger.info("[worker init]")
    ctx.set_value("greeting", "Hello")


async def handler(ctx, data):
    ctx.logger.info("[worker handler]")
    result = f"{ctx.get_value('greeting')} {data['name']}!"
    await ctx.save_metric(
        date="2020-04-06T09:02:09.277853Z", predicted_value="class_x", true_value="class_y"
    )
    await ctx.save_metric(error=ctx.ERR_MISSING_VALUES, date="2020-04-07T00:00:00.0Z")
    await ctx.prediction.save(error=ctx.prediction.ERR_NEW_LABELS, date="2020-04-08T00:00:00.0Z")
    return {"greeting": result}
