"""Replaces an entrypoint of the first protocol (runners 1.x and 2.0): plain NATS."""

import asyncio

from entrypoint import Entrypoint
from envelope import decode, encode


class CoreEntrypoint(Entrypoint):
    """Sends NATS requests; the first message to the inbox is the answer."""

    async def ask(self, command, request, timeout):
        subject = self.subjects[command["rpc"]]
        answer = await self.connection.request(subject, encode(request), timeout=timeout)
        return decode(answer.data, jetstream=False)


if __name__ == "__main__":
    asyncio.run(CoreEntrypoint().run())
