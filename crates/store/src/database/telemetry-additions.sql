-- Made wherever it is missing: files of older programs get it, and older programs do not mind it.

-- Requests, oldest first, many to a row: `data` is one after the other. Those that failed or were slow are
-- `notable`, and kept apart from the crowd. Of the requests: when the first and the last came in (nanoseconds since
-- the Unix epoch), how long the slowest took (nanoseconds), how they ended (a bit for each ending), how many.
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    notable INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    slowest INTEGER NOT NULL,
    endings INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS request_last ON request (last);
CREATE INDEX IF NOT EXISTS request_slowest ON request (slowest);

CREATE INDEX IF NOT EXISTS series_measurement ON series (measurement);
CREATE INDEX IF NOT EXISTS chunk_series ON chunk (series, last, first, points);
CREATE INDEX IF NOT EXISTS chunk_last ON chunk (last);
CREATE INDEX IF NOT EXISTS log_time ON log (time);

-- A request's records. Ids begin with the time, so that a new one goes to the end.
CREATE INDEX IF NOT EXISTS log_request ON log (request) WHERE request IS NOT NULL;

-- Records of warnings and errors, which are few; `level` is what `log.rs` makes of it.
CREATE INDEX IF NOT EXISTS log_grave ON log (id, level) WHERE level >= 2;
