"""The `ctx` of a handler: the part that uses NATS."""

import gzip
import json
import os
from datetime import datetime, timezone

from envelope import LIMIT, ChokedError
from nats.errors import Error as NatsError
from runner import LOGGER, present, variable

WRITER_PATIENCE = 30


class Context:
    """State shared by `init` and all calls of the handler, and the current request."""

    def __init__(self, connection):
        self.logger = LOGGER
        self.db = Database(connection)
        self.prediction = Predictions(self.db)
        self._values = {}
        self._request = None

    def path(self, relative):
        return os.path.join(present("KRT_BASE_PATH"), relative)

    def set(self, key, value):
        self._values[key] = value

    def get(self, key):
        if key not in self._values:
            raise AttributeError(key)
        return self._values[key]

    async def early_reply(self, response):
        if self._request is None:
            raise RuntimeError("there is no request to reply to")
        if self._request.replied:
            raise RuntimeError("error the message was replied previously")
        await self._request.reply_early(response)

    reply = early_reply

    def early_exit(self):
        if self._request is None:
            raise RuntimeError("there is no request to end")
        self._request.exits = True

    set_early_exit = early_exit


class Database:
    """Documents, stored by the mongo-writer."""

    def __init__(self, connection):
        self._connection = connection

    async def save(self, coll, data):
        if not isinstance(coll, str) or not coll:
            raise ValueError(
                f"[ctx.db.save] invalid 'collection'='{coll}', must be a nonempty string"
            )
        document = json.dumps({"coll": coll, "doc": data}).encode()
        if len(document) > LIMIT:
            document = gzip.compress(document)
        subject = present("KRT_NATS_MONGO_WRITER")
        try:
            answer = await self._connection.request(subject, document, timeout=WRITER_PATIENCE)
        except NatsError as error:
            # Existing runners log this and continue.
            LOGGER.error("[ctx.db.save] a document of '%s' is not saved: %r", coll, error)
            return
        try:
            success = json.loads(answer.data)["success"]
        except (ValueError, TypeError, KeyError) as error:
            raise ChokedError(f"the mongo-writer answers {answer.data!r}") from error
        if not isinstance(success, bool):
            raise ChokedError(f"the mongo-writer answers {answer.data!r}")
        if not success:
            LOGGER.error("[ctx.db.save] a document of '%s' is not saved", coll)


class Predictions:
    """Predictions, stored as documents."""

    def __init__(self, database):
        self._database = database

    async def save(self, predicted_value="", true_value="", extra=None, utcdate=None, error=""):
        date = utcdate or datetime.now(timezone.utc)
        document = {
            "date": date.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "error": error,
            "predictedValue": predicted_value,
            "trueValue": true_value,
            "extra": extra,
            "versionId": variable("KRT_VERSION_ID"),
            "versionName": present("KRT_VERSION"),
        }
        await self._database.save("classificationMetrics", document)
