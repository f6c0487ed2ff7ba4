-- A measurement with its tags; `key` is both, encoded. Ids are never used again: the writer keeps
-- them while rows are removed.
CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    measurement TEXT NOT NULL,
    key BLOB NOT NULL UNIQUE
) STRICT;

-- Points of a series: how many, from when to when (nanoseconds since the Unix epoch), and encoded.
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    series INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    points INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

-- Log records in the order in which they came; `time` is theirs.
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    level INTEGER NOT NULL,
    version TEXT NOT NULL,
    workflow TEXT,
    node TEXT,
    request TEXT,
    message TEXT NOT NULL
) STRICT;
