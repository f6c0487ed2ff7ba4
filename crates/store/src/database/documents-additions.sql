CREATE UNIQUE INDEX IF NOT EXISTS document_key ON document (collection, key);
CREATE INDEX IF NOT EXISTS document_collection ON document (collection);
