"""Stands in for an entrypoint of the first era (runners 1.x and 2.0): plain NATS."""

import asyncio

from entrypoint import Entrypoint
from envelope import decode, encode


class CoreEntrypoint(Entrypoint):
    """A request is one of NATS, and the first answer to its inbox is the answer."""

    async def ask(self, command, request, timeout):
        subject = f"{self.version}-{command['rpc']}-entrypoint"
        answer = await self.connection.request(subject, encode(request), timeout=timeout)
        return decode(answer.data, second_era=False)


if __name__ == "__main__":
    asyncio.run(CoreEntrypoint().run())
