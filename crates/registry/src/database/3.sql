-- The token that this one was made with; it ends with that one.
ALTER TABLE token ADD COLUMN parent TEXT REFERENCES token ON DELETE CASCADE;

CREATE INDEX token_parent ON token (parent);
