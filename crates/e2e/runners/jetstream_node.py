"""Replaces a node of the second protocol (runners 2.1): JetStream."""

import asyncio

from envelope import ChokedError, KreNatsMessage, encode
from nats.js import api, errors
from node import Node
from runner import present

# Redelivery delay of an unacknowledged message, in seconds.
ACK_WAIT = 22 * 3600
STREAM_PATIENCE = 30
PAUSE = 0.05


class JetStreamNode(Node):
    """Answers to the entrypoint's subject, with the request's id."""

    jetstream = True

    def __init__(self):
        super().__init__()
        present("KRT_RUNTIME_ID")
        present("KRT_NATS_ENTRYPOINT_SUBJECT")
        self._stream = present("KRT_NATS_STREAM")
        self._last = present("KRT_IS_LAST_NODE")
        if self._last not in ("true", "false"):
            raise SystemExit(f"KRT_IS_LAST_NODE is '{self._last}'")
        self._jetstream = None

    def output(self):
        return present("KRT_NATS_OUTPUT")

    def is_last(self):
        return self._last == "true"

    def reply_of(self, _message, received):
        return received.reply

    async def subscribe(self):
        self._jetstream = self.connection.jetstream()
        await self._stream_is_there()
        consumer = f"{present('KRT_VERSION')}-{self.name}"
        config = api.ConsumerConfig(
            deliver_policy=api.DeliverPolicy.NEW,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            # The same for each replica, so that their start order does not matter.
            deliver_subject=f"deliver.{self._stream}.{self.name}",
        )
        subscription = await self._jetstream.subscribe(
            self.input,
            stream=self._stream,
            queue=consumer,
            durable=consumer,
            config=config,
            manual_ack=True,
            cb=self._receive_and_acknowledge,
        )
        there = (await subscription.consumer_info()).config
        if (there.filter_subject, there.ack_policy, there.deliver_policy) != (
            self.input,
            api.AckPolicy.EXPLICIT,
            api.DeliverPolicy.NEW,
        ):
            raise ChokedError(f"the consumer is another: {there}")

    async def publish(self, subject, data):
        await self._jetstream.publish(subject, data, stream=self._stream)

    async def answer(self, request, envelope):
        envelope.early_exit = request.exits
        await self._to_entrypoint(envelope)

    async def answer_early(self, request, response):
        envelope = KreNatsMessage(
            tracking_id=request.received.tracking_id, reply=request.reply, replied=True
        )
        envelope.payload.Pack(response)
        await self._to_entrypoint(envelope)

    async def fail(self, request, error):
        # Existing runners drop the request's id here.
        await self._to_entrypoint(KreNatsMessage(error=error))

    async def _to_entrypoint(self, envelope):
        await self.publish(present("KRT_NATS_ENTRYPOINT_SUBJECT"), encode(envelope))

    async def _receive_and_acknowledge(self, message):
        if await self.receive(message):
            await message.ack()

    async def _stream_is_there(self):
        """Waits for the stream: the node may start before the entrypoint that creates it."""
        for _ in range(int(STREAM_PATIENCE / PAUSE)):
            try:
                return await self._jetstream.stream_info(self._stream)
            except errors.NotFoundError:
                await asyncio.sleep(PAUSE)
        raise ChokedError(f"there is no stream '{self._stream}'")


if __name__ == "__main__":
    asyncio.run(JetStreamNode().run())
