"""An entrypoint's process, but for the era and for gRPC.

Requests are lines of JSON on standard input:

    {"id": 1, "rpc": "Run", "node": "one", "type": "ping.Ping", "value": "BASE64", "timeout": 30}

`node` is the workflow's first node, which the second era asks for. Each request gives one line:

    {"id": 1, "type": "ping.Ping", "value": "BASE64"}
    {"id": 1, "error": "error in 'one': no"}
    {"id": 1, "failure": "timeout"}
    {"id": 1, "failure": "no responders"}

Another failure is an error of NATS, in words.
"""

import asyncio
import base64
import json
import uuid

from envelope import ChokedError, KreNatsMessage, now
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from runner import choke, connect, line, present, ready

TIMEOUT = 30


class Entrypoint:
    """An entrypoint. An era says how a request finds its answer."""

    def __init__(self):
        self.version = present("KRT_VERSION")
        self.connection = None

    async def run(self):
        try:
            self.connection = await connect("entrypoint (stand-in)")
            await self.begin()
        except Exception:
            choke()
        ready()
        requests = set()
        while text := await line():
            task = asyncio.create_task(self._serve(json.loads(text)))
            requests.add(task)
            task.add_done_callback(requests.discard)
        await asyncio.gather(*requests)
        await self.connection.drain()

    async def begin(self):
        pass

    async def _serve(self, command):
        try:
            print(json.dumps({"id": command["id"], **await self._answer(command)}), flush=True)
        except Exception:
            choke()

    async def _answer(self, command):
        start = now()
        request = KreNatsMessage(tracking_id=str(uuid.uuid4()))
        request.payload.type_url = f"type.googleapis.com/{command['type']}"
        request.payload.value = base64.b64decode(command["value"])
        request.tracking.add(node_name="entrypoint", start=start, end=now())
        timeout = command.get("timeout", TIMEOUT)
        try:
            answer = await asyncio.wait_for(self.ask(command, request, timeout), timeout)
        except NoRespondersError:
            return {"failure": "no responders"}
        except asyncio.TimeoutError:
            return {"failure": "timeout"}
        except NatsError as error:
            return {"failure": repr(error)}
        if answer.error:
            return {"error": answer.error}
        if answer.tracking_id not in ("", request.tracking_id):
            raise ChokedError(f"the answer to another request than {request}: {answer}")
        value = base64.b64encode(answer.payload.value).decode()
        return {"type": answer.payload.type_url.rpartition("/")[2], "value": value}
