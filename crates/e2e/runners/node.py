"""The process of a node without its protocol: loads a handler and checks its use of messages."""

import importlib.util
import inspect
import os
import sys

from context import Context
from envelope import ChokedError, KreNatsMessage, decode, encode, now, require_way
from nats.errors import Error as NatsError
from runner import (
    LOGGER,
    choke,
    connect,
    influx_endpoint,
    line,
    mongo_server,
    present,
    ready,
    variable,
)

# Variables that a node of either protocol requires.
VARIABLES = [
    "KRT_WORKFLOW_NAME",
    "KRT_VERSION_ID",
    "KRT_VERSION",
    "KRT_NODE_NAME",
    "KRT_NATS_SERVER",
    "KRT_NATS_INPUT",
    "KRT_NATS_MONGO_WRITER",
    "KRT_BASE_PATH",
    "KRT_HANDLER_PATH",
]


class Request:
    """One message in flight."""

    def __init__(self, node, received, reply):
        self.received = received
        self.reply = reply
        self.replied = received.replied
        self.exits = False
        self._node = node
        self._start = now()

    async def reply_early(self, response):
        await self._node.answer_early(self, response)
        self.replied = True

    def envelope(self, result):
        """Wraps the result for the next node or the client."""
        envelope = KreNatsMessage(
            tracking_id=self.received.tracking_id,
            tracking=self.received.tracking,
            reply=self.reply,
            replied=self.replied,
        )
        name = self._node.name
        envelope.tracking.add(node_name=name, start=self._start, end=now())
        envelope.payload.Pack(result)
        return envelope


class Node:
    """A node. A subclass implements the protocol."""

    jetstream = False

    def __init__(self):
        for name in VARIABLES:
            present(name)
        mongo_server()
        influx_endpoint()
        # May be empty, but must be set: see `variable`.
        variable("KRT_NATS_OUTPUT")
        self.name = present("KRT_NODE_NAME")
        self.input = present("KRT_NATS_INPUT")
        self.connection = None
        self._context = None
        self._handler = None

    async def run(self):
        try:
            self.connection = await connect(f"{self.name} (stand-in)")
            await self._load()
            await self.subscribe()
            # The first flush may overtake the subscription, which a task sends; the second cannot.
            await self.connection.flush()
            await self.connection.flush()
        except Exception:
            choke()
        ready()
        while await line():
            pass
        await self.connection.drain()

    async def receive(self, message):
        """Handles a message, and returns whether its outcome was sent.

        Ends the process on a message that an old reader cannot parse.
        """
        try:
            await self._receive(message)
        except NatsError as error:
            LOGGER.error("the message is left as it is: %r", error)
            return False
        except Exception:
            choke()
        return True

    async def _receive(self, message):
        received = decode(message.data, self.jetstream)
        require_way(received)
        request = Request(self, received, self.reply_of(message, received))
        if not request.reply:
            raise ChokedError(f"nobody waits for an answer: {received}")
        self._context._request = request
        try:
            result = await self._handler(self._context, received.payload)
            await self._send(request, result)
        except (ChokedError, NatsError):
            raise
        except Exception as error:
            LOGGER.exception("error executing handler: %s", error)
            await self.fail(request, f"error in '{self.name}': {error}")
        finally:
            self._context._request = None

    async def _send(self, request, result):
        ends = request.exits or self.is_last()
        if result is None and not (ends and request.replied):
            raise ValueError("the handler returned no message")
        if ends and request.replied:
            LOGGER.info("the request was replied to before: its result is dropped")
        elif ends:
            await self.answer(request, request.envelope(result))
        else:
            await self.publish(self.output(), encode(request.envelope(result)))

    async def _load(self):
        path = os.path.join(present("KRT_BASE_PATH"), present("KRT_HANDLER_PATH"))
        sys.path.append(os.path.dirname(path))
        specification = importlib.util.spec_from_file_location("handler_module", path)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        self._handler = module.handler
        self._context = Context(self.connection)
        if hasattr(module, "init"):
            begun = module.init(self._context)
            if inspect.isawaitable(begun):
                await begun
