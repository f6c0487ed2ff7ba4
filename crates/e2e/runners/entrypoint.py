"""The process of an entrypoint, without its protocol and without gRPC.

Requests are lines of JSON on standard input:

    {"id": 1, "rpc": "Run", "type": "ping.Ping", "value": "BASE64", "timeout": 30}

The file of subjects maps each RPC to a subject. Each request produces one line:

    {"id": 1, "type": "ping.Ping", "value": "BASE64"}
    {"id": 1, "error": "error in 'one': no"}
    {"id": 1, "failure": "timeout"}
    {"id": 1, "failure": "no responders"}

Other failures are NATS errors in text.
"""

import asyncio
import base64
import json
import os
import uuid

from envelope import ChokedError, KreNatsMessage, now
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from runner import choke, connect, influx_endpoint, line, present, ready

# Variables that an entrypoint of either protocol requires.
VARIABLES = [
    "KRT_RUNTIME_ID",
    "KRT_VERSION_ID",
    "KRT_VERSION",
    "KRT_NODE_NAME",
    "KRT_NODE_ID",
    "KRT_NATS_SERVER",
    "KRT_NATS_SUBJECTS_FILE",
]


def subjects():
    """Maps each RPC to the subject of its workflow's first node, as in the file of subjects."""
    with open(present("KRT_NATS_SUBJECTS_FILE"), encoding="utf-8") as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise SystemExit(f"the file of subjects is no JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(it, str) and it for it in found.values()):
        raise SystemExit(f"the file of subjects is no map from RPCs to subjects: {found!r}")
    return found


class Entrypoint:
    """An entrypoint. A subclass implements the protocol."""

    def __init__(self):
        for name in VARIABLES:
            present(name)
        influx_endpoint()
        # Whole seconds, in the syntax of `int`.
        self._timeout = int(os.environ.get("KRT_REQUEST_TIMEOUT", "30"))
        self.subjects = subjects()
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
        timeout = command.get("timeout", self._timeout)
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
