CREATE TABLE collection (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- `key` is the document's `_id` in a form in which equal ones are equal bytes; `saved` is when
-- (nanoseconds since the Unix epoch); `data` is BSON.
CREATE TABLE document (
    id INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL,
    saved INTEGER NOT NULL,
    key BLOB NOT NULL,
    data BLOB NOT NULL
) STRICT;
