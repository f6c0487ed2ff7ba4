"""Replaces a node of the first protocol (runners 1.x and 2.0): plain NATS."""

import asyncio

from envelope import KreNatsMessage, encode
from node import Node
from runner import variable


class CoreNode(Node):
    """Answers to the inbox of the request."""

    def output(self):
        return variable("KRT_NATS_OUTPUT")

    def is_last(self):
        return not self.output()

    def reply_of(self, message, received):
        # A message with a reply subject is a request whose sender waits for the answer.
        return message.reply or received.reply

    async def subscribe(self):
        await self.connection.subscribe(self.input, queue=f"queue_{self.input}", cb=self.receive)

    async def publish(self, subject, data):
        await self.connection.publish(subject, data)

    async def answer(self, request, envelope):
        await self.publish(request.reply, encode(envelope))

    async def answer_early(self, request, response):
        envelope = KreNatsMessage(replied=True)
        envelope.payload.Pack(response)
        await self.publish(request.reply, encode(envelope))

    async def fail(self, request, error):
        await self.publish(request.reply, encode(KreNatsMessage(error=error)))


if __name__ == "__main__":
    asyncio.run(CoreNode().run())
