//! Reads closed sets of the model, which SQLite has as text. The other way `as_str` does it.

use rusqlite::{
    Row,
    types::{FromSqlError, Type},
};

/// Reads the value of a column; `parse` is that of its type, such as `Role::parse`.
pub(crate) fn get<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, FromSqlError::InvalidType.into())
    })
}
