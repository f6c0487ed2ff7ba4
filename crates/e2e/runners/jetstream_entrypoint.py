"""Replaces an entrypoint of the second protocol (runners 2.1): JetStream."""

import asyncio
import uuid

from entrypoint import Entrypoint
from envelope import ChokedError, decode, encode
from nats.js import api, errors
from runner import present


class JetStreamEntrypoint(Entrypoint):
    """Each request has a consumer, which receives all answers and selects its own by id."""

    def __init__(self):
        super().__init__()
        self._streams = {rpc: self._stream(rpc) for rpc in self.subjects}
        self._jetstream = None

    def _stream(self, rpc):
        """Derives the stream from the ids; the subject in the file must belong to it."""
        stream = f"{present('KRT_RUNTIME_ID')}-{present('KRT_VERSION')}-{rpc}"
        if not self.subjects[rpc].startswith(f"{stream}."):
            raise SystemExit(f"'{self.subjects[rpc]}' is no subject of the stream '{stream}'")
        return stream

    async def begin(self):
        """Creates each workflow's stream, unless it exists."""
        self._jetstream = self.connection.jetstream()
        for stream in self._streams.values():
            await self._make(stream)

    async def _make(self, stream):
        subjects = [f"{stream}.*"]
        try:
            there = await self._jetstream.stream_info(stream)
        except errors.NotFoundError:
            there = await self._jetstream.add_stream(name=stream, subjects=subjects)
        if not set(subjects) <= set(there.config.subjects):
            raise ChokedError(f"the stream is another: {there.config}")

    async def ask(self, command, request, timeout):
        # Differs from the tracking id, so that the two cannot be confused.
        request.reply = str(uuid.uuid4())
        stream = self._streams[command["rpc"]]
        answers = await self._jetstream.subscribe(
            f"{stream}.entrypoint",
            stream=stream,
            config=api.ConsumerConfig(
                deliver_policy=api.DeliverPolicy.NEW, ack_policy=api.AckPolicy.EXPLICIT
            ),
        )
        try:
            subject = self.subjects[command["rpc"]]
            await self._jetstream.publish(subject, encode(request), stream=stream)
            return await self._find(answers, request.reply, timeout)
        finally:
            await answers.unsubscribe()

    async def _find(self, answers, reply, timeout):
        while True:
            message = await answers.next_msg(timeout)
            answer = decode(message.data, jetstream=True)
            await message.ack()
            # An error without an id is for every waiting request.
            if answer.reply == reply or (answer.error and not answer.reply):
                return answer
            if not answer.reply:
                raise ChokedError(f"an answer to nobody: {answer}")


if __name__ == "__main__":
    asyncio.run(JetStreamEntrypoint().run())
