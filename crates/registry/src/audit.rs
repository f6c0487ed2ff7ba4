//! The audit log.

use crate::{error::Error, registry::Registry, text, timestamp::Timestamp};
use krt_model::{name::Name, team::AuditAction};
use rusqlite::{Connection, Row, params};
use std::time::Duration;

/// The author of a change, with a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub login: String,
    /// The user's reason; may be empty.
    pub comment: String,
}

impl Actor {
    /// The server itself.
    pub fn server() -> Self {
        Self { login: "krt".to_owned(), comment: String::new() }
    }

    /// A user without a comment.
    pub fn user(login: &str) -> Self {
        Self { login: login.to_owned(), comment: String::new() }
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later entries have greater ones.
    pub id: i64,
    /// When it happened.
    pub time: Timestamp,
    /// The author.
    pub login: String,
    /// The action.
    pub action: AuditAction,
    /// The runtime.
    pub runtime: Option<String>,
    /// The version in it.
    pub version: Option<String>,
    /// The user, token or board.
    pub subject: Option<String>,
    /// The author's comment.
    pub comment: String,
}

/// Selects entries that match everything that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// The author.
    pub login: Option<String>,
    /// The action.
    pub action: Option<AuditAction>,
    /// The runtime.
    pub runtime: Option<Name>,
    /// The version.
    pub version: Option<Name>,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Below this number.
    pub before: Option<i64>,
}

/// The retention of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditRetention {
    /// Entries older than this are deleted.
    pub age: Duration,
    /// Beyond this size, in bytes, the oldest are deleted.
    pub size: u64,
}

/// An entry's size in bytes: its texts, and about what SQLite needs for the rest.
const ENTRY_SIZE: &str = "(64 + octet_length(login) + octet_length(action) + octet_length(comment) \
                    + ifnull(octet_length(runtime), 0) + ifnull(octet_length(version), 0) \
                    + ifnull(octet_length(subject), 0))";

/// The object of an action.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Object<'a> {
    pub(crate) runtime: Option<&'a Name>,
    pub(crate) version: Option<&'a Name>,
    pub(crate) subject: Option<&'a str>,
}

impl<'a> Object<'a> {
    pub(crate) fn runtime(runtime: &'a Name) -> Self {
        Self { runtime: Some(runtime), ..Self::default() }
    }

    pub(crate) fn version(runtime: &'a Name, version: &'a Name) -> Self {
        Self { runtime: Some(runtime), version: Some(version), subject: None }
    }

    pub(crate) fn subject(subject: &'a str) -> Self {
        Self { subject: Some(subject), ..Self::default() }
    }
}

/// Adds an entry, in the transaction of the action.
pub(crate) fn record(
    connection: &Connection,
    actor: &Actor,
    action: AuditAction,
    object: Object<'_>,
) -> Result<(), Error> {
    let sql = "INSERT INTO audit (time, login, action, runtime, version, subject, comment) \
               VALUES (?, ?, ?, ?, ?, ?, ?)";
    let (runtime, version) = (object.runtime.map(Name::as_str), object.version.map(Name::as_str));
    let values = params![
        Timestamp::now(),
        actor.login,
        action.as_str(),
        runtime,
        version,
        object.subject,
        actor.comment
    ];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

impl Registry {
    /// The newest entries that match, newest first.
    pub fn audit(&self, filter: &AuditFilter, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        let sql = "SELECT id, time, login, action, runtime, version, subject, comment FROM audit \
                   WHERE id < ?1 AND time >= ?2 AND time < ?3 \
                   AND (?4 IS NULL OR login = ?4) AND (?5 IS NULL OR action = ?5) \
                   AND (?6 IS NULL OR runtime = ?6) AND (?7 IS NULL OR version = ?7) \
                   ORDER BY id DESC LIMIT ?8";
        let values = params![
            filter.before.unwrap_or(i64::MAX),
            filter.from.map_or(i64::MIN, |from| from.0),
            filter.to.map_or(i64::MAX, |to| to.0),
            filter.login,
            filter.action.map(AuditAction::as_str),
            filter.runtime.as_ref().map(Name::as_str),
            filter.version.as_ref().map(Name::as_str),
            i64::try_from(limit).unwrap_or(i64::MAX),
        ];
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let entries = statement.query_map(values, entry)?;
            Ok(entries.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Adds an entry for an action that changes nothing else.
    pub fn record(&self, actor: &Actor, action: AuditAction, subject: &str) -> Result<(), Error> {
        self.write(|connection| record(connection, actor, action, Object::subject(subject)))
    }
}

impl Registry {
    /// Deletes entries beyond the retention, records that in an entry, and returns how many were deleted.
    ///
    /// Anyone can cause entries of failed sign-ins, so these get a quarter of the size and never displace
    /// others.
    pub fn prune_audit(&self, retention: AuditRetention) -> Result<usize, Error> {
        let oldest = Timestamp::now().before(retention.age);
        self.write(|connection| {
            let aged = connection.execute("DELETE FROM audit WHERE time < ?", [oldest])?;
            let surplus = delete_surplus(connection, retention.size)?;
            if aged + surplus > 0 {
                let comment = format!("{aged} entries from before {oldest}, {surplus} for their size");
                let actor = Actor { comment, ..Actor::server() };
                record(connection, &actor, AuditAction::AuditPruned, Object::default())?;
            }
            Ok(aged + surplus)
        })
    }
}

fn delete_surplus(connection: &Connection, size: u64) -> Result<usize, Error> {
    let sql = format!("SELECT coalesce(sum({ENTRY_SIZE}), 0) FROM audit");
    let taken: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    if u64::try_from(taken).unwrap_or_default() <= size {
        return Ok(0);
    }
    // A margin below the size, so that the next entry does not trigger this again.
    let kept = i64::try_from(size / 10 * 9).unwrap_or(i64::MAX);
    let sql = format!(
        "DELETE FROM audit WHERE id IN ( \
             SELECT id FROM ( \
                 SELECT id, action = ?1 AS failed, \
                     sum({ENTRY_SIZE}) OVER (PARTITION BY action = ?1 ORDER BY id DESC) AS newer FROM audit \
             ) WHERE newer > CASE WHEN failed THEN ?2 / 4 ELSE ?2 / 4 * 3 END)"
    );
    Ok(connection.execute(&sql, params![AuditAction::SignInFailed.as_str(), kept])?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.get(0)?,
        time: row.get(1)?,
        login: row.get(2)?,
        action: text::get(row, 3, AuditAction::parse)?,
        runtime: row.get(4)?,
        version: row.get(5)?,
        subject: row.get(6)?,
        comment: row.get(7)?,
    })
}
