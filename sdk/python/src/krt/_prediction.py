"""`ctx.prediction`: predicted and true labels of a classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import _contract, _documents
from ._connection import CallFailed
from ._documents import parse_iso, utc_now
from .errors import ArgumentError, DatabaseError

if TYPE_CHECKING:
    from ._context import Effects, Identity, Notices


class Predictions:
    """Saves predictions as documents for the metrics of a classifier."""

    ERR_MISSING_VALUES = _contract.ERR_MISSING_VALUES
    """The error of a prediction with missing input."""
    ERR_NEW_LABELS = _contract.ERR_NEW_LABELS
    """The error of a prediction with a label unknown to the model."""

    def __init__(
        self,
        identity: Identity,
        effects: Effects,
        notices: Notices,
        request: Callable[[], str | None],
    ) -> None:
        self._identity = identity
        self._effects = effects
        self._notices = notices
        self._request = request

    async def save(
        self,
        predicted_value: str = "",
        true_value: str = "",
        extra: Mapping[str, Any] | datetime | str | None = None,
        utcdate: datetime | str | None = None,
        error: str = "",
        *,
        date: datetime | str | None = None,
    ) -> None:
        """Saves a prediction: both values, or one of the two errors above.

        `utcdate` is a `datetime` in UTC or an ISO 8601 string; the default is now. `date` is its
        old name; older runners also took a date in place of `extra`, with the error after it.
        Raises `ArgumentError`, `DocumentError` for `extra`, and `DatabaseError`.
        """
        if isinstance(extra, (datetime, str)):
            self._notices.warn("ctx.prediction.save(…, …, DATE)", "utcdate=DATE")
            date, extra = extra, None
            if isinstance(utcdate, str) and error == "":
                error = utcdate
                utcdate = None
        elif date is not None:
            self._notices.warn("ctx.prediction.save(date=…)", "utcdate=…")
        if utcdate is None and date != "":
            utcdate = date
        if error != "":
            _check_error(error)
        else:
            _check_text("save", "predicted_value", predicted_value)
            _check_text("save", "true_value", true_value)
        await self._save(predicted_value, true_value, extra, utcdate, error)

    async def save_pending(
        self,
        predicted_value: str,
        extra: Mapping[str, Any] | None = None,
        utcdate: datetime | str | None = None,
    ) -> None:
        """Saves a prediction whose true value comes later, with `update`.

        Keep `ctx.request_id` where the true value will come from. `utcdate` is a `datetime` in UTC
        or an ISO 8601 string; the default is now. Raises `ArgumentError`, `DocumentError` for
        `extra`, and `DatabaseError`.
        """
        _check_text("save_pending", "predicted_value", predicted_value)
        await self._save(predicted_value, "", extra, utcdate, "")

    async def update(self, request_id: str, true_value: str) -> None:
        """Saves the true value of what an earlier request predicted.

        `request_id` is the `ctx.request_id` of the handler that saved the prediction. The true
        value counts for all predictions of that request. The latest update replaces earlier ones,
        and the true value of `save`. Raises `ArgumentError` and `DatabaseError`.
        """
        _check_text("update", "request_id", request_id)
        _check_text("update", "true_value", true_value)
        update = {
            "requestId": request_id,
            "trueValue": true_value,
            "date": utc_now().strftime(_contract.PREDICTION_DATE),
        }
        try:
            await self._effects.save(_contract.UPDATES, _documents.encode(update))
        except CallFailed as failure:
            raise DatabaseError(_contract.not_updated(str(failure))) from None

    async def _save(
        self,
        predicted_value: str,
        true_value: str,
        extra: Mapping[str, Any] | None,
        utcdate: datetime | str | None,
        error: str,
    ) -> None:
        document = {
            "date": _in_utc(utcdate).strftime(_contract.PREDICTION_DATE),
            "error": error,
            "predictedValue": predicted_value,
            "trueValue": true_value,
            "extra": extra,
            "versionId": self._identity.version_id,
            "versionName": self._identity.version,
        }
        request = self._request()
        if request is not None:
            document["requestId"] = request
        try:
            await self._effects.save(_contract.PREDICTIONS, _documents.encode(document))
        except CallFailed as failure:
            raise DatabaseError(_contract.not_predicted(str(failure))) from None


def _check_error(error: object) -> None:
    if error not in _contract.PREDICTION_ERRORS:
        raise ArgumentError(_contract.not_a_prediction_error(error))


def _check_text(method: str, argument: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ArgumentError(_contract.not_text(f"prediction.{method}", argument, value))


def _in_utc(moment: object) -> datetime:
    if moment is None:
        return utc_now()
    try:
        date = parse_iso(moment) if isinstance(moment, str) else moment
    except ValueError as error:
        raise ArgumentError(f"{_contract.NOT_UTC}: {error}") from None
    if not isinstance(date, datetime):
        raise ArgumentError(f"{_contract.NOT_UTC}, not {moment!r:.40}")
    if date.utcoffset():
        raise ArgumentError(_contract.NOT_UTC)
    return date
