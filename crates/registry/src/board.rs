//! Saved boards of charts; the dashboard defines what a chart is.

use crate::{
    audit::{Actor, Object, record},
    error::{Error, Noun, is_taken},
    registry::Registry,
    runtime, secret,
    timestamp::Timestamp,
};
use krt_model::{name::Name, team::AuditAction};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// A board.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its charts.
    pub charts: serde_json::Value,
    /// When it was saved.
    pub changed: Timestamp,
    /// The user who saved it.
    pub changed_by: String,
}

/// The content of a board to save.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBoard {
    /// Its display name.
    pub name: String,
    /// Its charts.
    pub charts: serde_json::Value,
}

/// The most charts of a board, and their most bytes together.
const MAX_CHARTS: usize = 50;
const MAX_BYTES: usize = 256 << 10;

impl Registry {
    /// A runtime's boards, by name.
    pub fn boards(&self, runtime: &Name) -> Result<Vec<Board>, Error> {
        self.read(|connection| {
            runtime::require(connection, runtime)?;
            let sql =
                "SELECT id, name, charts, changed, changed_by FROM board WHERE runtime = ? ORDER BY name";
            let mut statement = connection.prepare_cached(sql)?;
            let boards = statement.query_map([runtime.as_str()], board)?;
            Ok(boards.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// One board.
    pub fn board(&self, runtime: &Name, id: &str) -> Result<Board, Error> {
        self.read(|connection| load(connection, runtime, id))
    }

    /// Saves a board: the one with this id, or a new one.
    pub fn save_board(
        &self,
        actor: &Actor,
        runtime: &Name,
        id: Option<&str>,
        new: &NewBoard,
    ) -> Result<Board, Error> {
        if new.name.trim().is_empty() || new.name.chars().count() > 80 {
            return Err(Error::Text { what: "name", rule: "1 to 80 characters of text" });
        }
        let charts = new.charts.to_string();
        let fits = new.charts.as_array().is_some_and(|charts| charts.len() <= MAX_CHARTS);
        if !fits || charts.len() > MAX_BYTES {
            return Err(Error::Text { what: "board", rule: "a list of at most 50 charts, 256 KiB in all" });
        }
        let id = match id {
            Some(id) => self.board(runtime, id)?.id,
            None => secret::id()?,
        };
        self.write(|connection| {
            runtime::require(connection, runtime)?;
            let sql = "INSERT INTO board (id, runtime, name, charts, changed, changed_by) VALUES (?, ?, ?, ?, ?, ?) \
                       ON CONFLICT (id) DO UPDATE SET name = excluded.name, charts = excluded.charts, \
                       changed = excluded.changed, changed_by = excluded.changed_by";
            let values = params![id, runtime.as_str(), new.name, charts, Timestamp::now(), actor.login];
            connection.execute(sql, values).map_err(|error| {
                if is_taken(&error) { Error::taken(Noun::Board, &*new.name) } else { error.into() }
            })?;
            let object = Object { subject: Some(&new.name), ..Object::runtime(runtime) };
            record(connection, actor, AuditAction::BoardSaved, object)?;
            load(connection, runtime, &id)
        })
    }

    /// Deletes a board.
    pub fn delete_board(&self, actor: &Actor, runtime: &Name, id: &str) -> Result<(), Error> {
        self.write(|connection| {
            let board = load(connection, runtime, id)?;
            connection.execute("DELETE FROM board WHERE id = ?", [id])?;
            let object = Object { subject: Some(&board.name), ..Object::runtime(runtime) };
            record(connection, actor, AuditAction::BoardDeleted, object)
        })
    }
}

fn load(connection: &Connection, runtime: &Name, id: &str) -> Result<Board, Error> {
    runtime::require(connection, runtime)?;
    let sql = "SELECT id, name, charts, changed, changed_by FROM board WHERE runtime = ? AND id = ?";
    let found = connection.prepare_cached(sql)?.query_row([runtime.as_str(), id], board).optional()?;
    found.ok_or_else(|| Error::missing(Noun::Board, id))
}

fn board(row: &Row<'_>) -> rusqlite::Result<Board> {
    Ok(Board {
        id: row.get(0)?,
        name: row.get(1)?,
        charts: serde_json::from_str(&row.get::<_, String>(2)?).unwrap_or_default(),
        changed: row.get(3)?,
        changed_by: row.get(4)?,
    })
}
