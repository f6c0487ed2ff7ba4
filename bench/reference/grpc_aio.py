"""The reference without KRT, as written by hand: one grpc.aio server, one process.

It serves the measured methods of `chain.proto` and `single.proto`, and calls their handlers as
functions. Its argument is the folder of the generated modules.
"""

import asyncio
import sys

import grpc
from grpc_reflection.v1alpha import reflection

sys.path.insert(0, sys.argv[1])

import chain_pb2
import chain_pb2_grpc
import single_pb2
import single_pb2_grpc
from chain_pb2 import Work
from single_pb2 import Blob, Ping, Token


async def first(work):
    return Work(text=work.text, steps=work.steps + 1, values=work.values)


async def second(work):
    return Work(text=work.text, steps=work.steps + 1, values=work.values)


async def third(work):
    return Work(text=work.text, steps=work.steps + 1, values=work.values)


class Chain(chain_pb2_grpc.EntrypointServicer):
    """Calls the three functions in a row."""

    async def Run(self, request, context):
        return await third(await second(await first(request)))


class Single(single_pb2_grpc.EntrypointServicer):
    """Calls one function per method."""

    async def Wait(self, request, context):
        await asyncio.sleep(0.05)
        return Ping(text=request.text)

    async def Echo(self, request, context):
        return Blob(content=request.content)

    async def Write(self, request, context):
        for _ in range(request.tokens):
            yield Token(text="token")


async def main():
    server = grpc.aio.server()
    chain_pb2_grpc.add_EntrypointServicer_to_server(Chain(), server)
    single_pb2_grpc.add_EntrypointServicer_to_server(Single(), server)
    services = [
        module.DESCRIPTOR.services_by_name["Entrypoint"] for module in (chain_pb2, single_pb2)
    ]
    reflection.enable_server_reflection([service.full_name for service in services], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


asyncio.run(main())
