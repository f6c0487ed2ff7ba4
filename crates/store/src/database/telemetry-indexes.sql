CREATE INDEX IF NOT EXISTS series_measurement ON series (measurement);
CREATE INDEX IF NOT EXISTS chunk_series ON chunk (series, last, first, points);
CREATE INDEX IF NOT EXISTS chunk_last ON chunk (last);
CREATE INDEX IF NOT EXISTS log_time ON log (time);

-- A request's records. Ids begin with the time, so that a new one goes to the end.
CREATE INDEX IF NOT EXISTS log_request ON log (request) WHERE request IS NOT NULL;

-- Records of warnings and errors, which are few; `level` is what `log.rs` makes of it.
CREATE INDEX IF NOT EXISTS log_grave ON log (id, level) WHERE level >= 2;
