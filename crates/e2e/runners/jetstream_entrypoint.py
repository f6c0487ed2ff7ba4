"""Stands in for an entrypoint of the second era (runners 2.1): JetStream."""

import asyncio
import uuid

from entrypoint import Entrypoint
from envelope import ChokedError, decode, encode
from nats.js import api, errors
from runner import present


class JetStreamEntrypoint(Entrypoint):
    """Each request has a consumer, which sees the answers to all; it takes that with its id."""

    def __init__(self):
        super().__init__()
        self._stream = present("KRT_NATS_STREAM")
        self._jetstream = None

    async def begin(self):
        """Makes the workflow's stream, unless it is there."""
        self._jetstream = self.connection.jetstream()
        subjects = [f"{self._stream}.*"]
        try:
            there = await self._jetstream.stream_info(self._stream)
        except errors.NotFoundError:
            there = await self._jetstream.add_stream(name=self._stream, subjects=subjects)
        if not set(subjects) <= set(there.config.subjects):
            raise ChokedError(f"the stream is another: {there.config}")

    async def ask(self, command, request, timeout):
        # Another one than the tracking's, so that nobody takes the one for the other.
        request.reply = str(uuid.uuid4())
        answers = await self._jetstream.subscribe(
            f"{self._stream}.entrypoint",
            stream=self._stream,
            config=api.ConsumerConfig(
                deliver_policy=api.DeliverPolicy.NEW, ack_policy=api.AckPolicy.EXPLICIT
            ),
        )
        try:
            subject = f"{self._stream}.{command['node']}"
            await self._jetstream.publish(subject, encode(request), stream=self._stream)
            return await self._find(answers, request.reply, timeout)
        finally:
            await answers.unsubscribe()

    async def _find(self, answers, reply, timeout):
        while True:
            message = await answers.next_msg(timeout)
            answer = decode(message.data, second_era=True)
            await message.ack()
            # An error that names nobody is everybody's.
            if answer.reply == reply or (answer.error and not answer.reply):
                return answer
            if not answer.reply:
                raise ChokedError(f"an answer to nobody: {answer}")


if __name__ == "__main__":
    asyncio.run(JetStreamEntrypoint().run())
