//! The stored values of versions' configuration, in the order of versions.

use crate::error::Error;
use krt_model::version::VariableKind;
use rusqlite::{Connection, params};
use std::fmt;

/// A value, hidden in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(String);

impl Value {
    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// An entry of a version's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The environment variable of nodes.
    pub name: String,
    /// Whether the value is a text or a file's content.
    pub kind: VariableKind,
    /// Whether it has a value.
    pub set: bool,
    /// The earlier version that the value is inherited from.
    pub inherited_from: Option<String>,
    /// The value, for roles that may see it.
    pub value: Option<Option<Value>>,
}

/// Sets a version's own value; `None` deletes it.
pub(crate) fn set(
    connection: &Connection,
    version: i64,
    name: &str,
    value: Option<&str>,
) -> Result<(), Error> {
    match value {
        Some(value) => connection.execute(
            "INSERT OR REPLACE INTO value (version, name, value) VALUES (?, ?, ?)",
            params![version, name, value],
        )?,
        None => {
            connection.execute("DELETE FROM value WHERE version = ? AND name = ?", params![version, name])?
        }
    };
    Ok(())
}

/// A version's configuration with values: its own, or those of the newest earlier version that has them.
pub(crate) fn entries(
    connection: &Connection,
    version: i64,
    runtime: &str,
) -> Result<Vec<ConfigEntry>, Error> {
    let sql = "SELECT variable.name, variable.kind, giver.id, giver.name, value.value FROM variable \
               LEFT JOIN version AS giver ON giver.id = (\
                   SELECT max(version.id) FROM value JOIN version ON version.id = value.version \
                   WHERE value.name = variable.name AND version.runtime = ?2 AND version.id <= ?1) \
               LEFT JOIN value ON value.version = giver.id AND value.name = variable.name \
               WHERE variable.version = ?1 ORDER BY variable.position";
    let mut statement = connection.prepare_cached(sql)?;
    let entries = statement.query_map(params![version, runtime], |row| {
        let giver: Option<i64> = row.get(2)?;
        let value: Option<String> = row.get(4)?;
        let inherited = giver.is_some_and(|giver| giver != version);
        Ok(ConfigEntry {
            name: row.get(0)?,
            kind: if row.get_ref(1)?.as_str()? == kind_text(VariableKind::File) {
                VariableKind::File
            } else {
                VariableKind::Text
            },
            set: value.is_some(),
            inherited_from: if inherited { row.get(3)? } else { None },
            value: Some(value.map(Value)),
        })
    })?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

/// The text that the database has for a kind.
pub(crate) fn kind_text(kind: VariableKind) -> &'static str {
    match kind {
        VariableKind::Text => "variable",
        VariableKind::File => "file",
    }
}

/// The names without a value.
pub(crate) fn missing(connection: &Connection, version: i64, runtime: &str) -> Result<Vec<String>, Error> {
    let entries = entries(connection, version, runtime)?.into_iter();
    Ok(entries.filter(|entry| !entry.set).map(|entry| entry.name).collect())
}

/// Moves the values of a deleted version to the next version that inherits them.
pub(crate) fn move_values(connection: &Connection, version: i64, runtime: &str) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO value (version, name, value) \
               SELECT heir.id, value.name, value.value FROM value JOIN version AS heir ON heir.id = (\
                   SELECT min(version.id) FROM version JOIN variable ON variable.version = version.id \
                   WHERE version.runtime = ?2 AND version.id > ?1 AND variable.name = value.name) \
               WHERE value.version = ?1";
    connection.execute(sql, params![version, runtime])?;
    Ok(())
}
