-- Times are microseconds since the Unix epoch.

CREATE TABLE runtime (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

-- Host names by which a runtime is reached.
CREATE TABLE host (
    name TEXT PRIMARY KEY,
    runtime TEXT NOT NULL REFERENCES runtime ON DELETE CASCADE
) STRICT;

-- Ids are never given again, so that they are in the order in which versions came.
CREATE TABLE version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    runtime TEXT NOT NULL REFERENCES runtime ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    state TEXT NOT NULL,
    wanted TEXT NOT NULL,
    reasons TEXT NOT NULL,
    created INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    changed INTEGER NOT NULL,
    published_at INTEGER,
    published_by TEXT,
    package_bytes INTEGER NOT NULL,
    warnings TEXT NOT NULL,
    nodes INTEGER NOT NULL,
    workflows INTEGER NOT NULL,
    has_docs INTEGER NOT NULL,
    UNIQUE (runtime, name)
) STRICT;

-- Of a runtime one version at most is published. Another may be starting to take its place.
CREATE UNIQUE INDEX version_published ON version (runtime) WHERE state = 'PUBLISHED';

-- What a version needs; `position` is its place in krt.yml.
CREATE TABLE variable (
    version INTEGER NOT NULL REFERENCES version ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (version, name)
) STRICT;

-- What it was given itself; others it has from the newest earlier version.
CREATE TABLE value (
    version INTEGER NOT NULL REFERENCES version ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (version, name)
) STRICT;

-- Each time that a version was published.
CREATE TABLE publication (
    id INTEGER PRIMARY KEY,
    runtime TEXT NOT NULL REFERENCES runtime ON DELETE CASCADE,
    version INTEGER NOT NULL REFERENCES version ON DELETE CASCADE
) STRICT;

CREATE TABLE user (
    login TEXT PRIMARY KEY COLLATE NOCASE,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    created INTEGER NOT NULL,
    signed_in INTEGER,
    disabled INTEGER NOT NULL
) STRICT;

-- `hash` is SHA-256 of the token.
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    name TEXT NOT NULL,
    login TEXT NOT NULL COLLATE NOCASE REFERENCES user ON DELETE CASCADE,
    role TEXT NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER,
    expires INTEGER
) STRICT;

-- `hash` is SHA-256 of the cookie.
CREATE TABLE session (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    csrf TEXT NOT NULL,
    login TEXT NOT NULL COLLATE NOCASE REFERENCES user ON DELETE CASCADE,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    agent TEXT NOT NULL
) STRICT;

-- Names only: what is meant may be gone.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    login TEXT NOT NULL,
    action TEXT NOT NULL,
    runtime TEXT,
    version TEXT,
    subject TEXT,
    comment TEXT NOT NULL
) STRICT;

CREATE TABLE board (
    id TEXT PRIMARY KEY,
    runtime TEXT NOT NULL REFERENCES runtime ON DELETE CASCADE,
    name TEXT NOT NULL,
    charts TEXT NOT NULL,
    changed INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    UNIQUE (runtime, name)
) STRICT;
