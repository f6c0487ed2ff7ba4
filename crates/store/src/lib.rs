//! The embedded store: measurements, documents, predictions and logs in SQLite.
