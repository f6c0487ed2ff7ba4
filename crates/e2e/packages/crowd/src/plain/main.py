"""Plain functions: they run in threads, four at a time here."""

import threading

from public_input_pb2 import Count, Visit

four = threading.Barrier(4)


def init(ctx):
    ctx.set("thread of init", threading.current_thread() is threading.main_thread())


def handler(ctx, data):
    visit = Visit()
    data.Unpack(visit)
    four.wait()
    assert ctx.get("thread of init")
    main = threading.current_thread() is threading.main_thread()
    return Count(number=visit.number, thread="main" if main else "other")
