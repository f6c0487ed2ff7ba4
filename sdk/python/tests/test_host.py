"""A host at work."""

ECHO = """
    from google.protobuf.wrappers_pb2 import StringValue

    async def handler(ctx, data):
        request = StringValue()
        data.Unpack(request)
        return StringValue(value=request.value + "!")
"""


def test_answers(serve):
    engine = serve(ECHO)
    assert engine.ask("hello").text == "hello!"
    assert engine.stop() == 0


def test_concurrent(serve):
    engine = serve(ECHO, concurrency=16)
    ids = engine.deliver_many([str(i) for i in range(16)])
    assert engine.result(ids[-1]).text == "15!"
    assert engine.stop() == 0
