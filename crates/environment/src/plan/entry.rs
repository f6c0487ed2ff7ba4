//! One entry of a table of dependencies. Unknown content is an error.

use super::requirement::Origin;
use crate::{error::Error, mask::mask};
use pep440_rs::VersionSpecifiers;
use std::{path::Path, str::FromStr};
use toml::{Table, Value};

const HINT: &str = "say it in a `requirements.txt` in the same folder, which goes before this file";

/// The host of the default index, as name and domain. Installers never get it as an option, so that the
/// user's own settings keep their effect.
pub(super) const DEFAULT_HOST: (&str, &str) = ("pypi", "org");

/// A named entry of a file.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) file: &'a Path,
    pub(super) name: &'a str,
}

impl Entry<'_> {
    /// The error for an entry that cannot be translated.
    pub(super) fn cannot(&self, problem: impl Into<String>) -> Error {
        let (file, entry) = (self.file.to_owned(), mask(self.name));
        Error::Untranslatable { file, entry, problem: mask(&problem.into()), hint: HINT }
    }

    /// Checks that a table has only these keys.
    pub(super) fn only(&self, table: &Table, known: &[&str]) -> Result<(), Error> {
        match table.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(self.cannot(format!("has `{key}`, which cannot be given to an installer"))),
            None => Ok(()),
        }
    }

    /// The text of a key.
    pub(super) fn text<'t>(&self, table: &'t Table, key: &str) -> Result<Option<&'t str>, Error> {
        match table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.cannot(format!("has a `{key}` that is not a string"))),
        }
    }

    /// The boolean of a key; false if absent.
    pub(super) fn flag(&self, table: &Table, key: &str) -> Result<bool, Error> {
        match table.get(key) {
            None => Ok(false),
            Some(Value::Boolean(flag)) => Ok(*flag),
            Some(_) => Err(self.cannot(format!("has a `{key}` that is neither true nor false"))),
        }
    }

    /// The list of texts of a key; empty if absent.
    pub(super) fn texts(&self, table: &Table, key: &str) -> Result<Vec<String>, Error> {
        let Some(value) = table.get(key) else { return Ok(Vec::new()) };
        let texts = value
            .as_array()
            .and_then(|list| list.iter().map(|text| text.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| self.cannot(format!("has a `{key}` that is not a list of strings")))
    }

    /// The origin of a package in a table, if it is not an index. `editable` is the key for a project that is
    /// used in place.
    pub(super) fn origin(&self, table: &Table, editable: &str) -> Result<Option<Origin>, Error> {
        if let Some(address) = self.text(table, "git")? {
            let mut revision = None;
            for key in ["rev", "ref", "tag", "branch"] {
                revision = revision.or(self.text(table, key)?.map(str::to_owned));
            }
            let folder = self.text(table, "subdirectory")?.map(str::to_owned);
            return Ok(Some(Origin::Git { address: address.to_owned(), revision, folder }));
        }
        if let Some(address) = self.text(table, "url")? {
            return Ok(Some(Origin::Address(address.to_owned())));
        }
        if let Some(path) = self.text(table, "path")? {
            return Ok(Some(Origin::Path { path: path.to_owned(), editable: self.flag(table, editable)? }));
        }
        Ok(None)
    }

    /// Validates version specifiers (PEP 440).
    pub(super) fn specifiers(&self, text: &str) -> Result<VersionSpecifiers, Error> {
        VersionSpecifiers::from_str(text)
            .map_err(|_| self.cannot(format!("has `{text}` for a version, which is not a version specifier")))
    }
}

/// The option for an index; none for the default one.
pub(super) fn index_option(address: &str) -> Option<String> {
    (host(address).split_once('.') != Some(DEFAULT_HOST)).then(|| format!("--index-url {address}"))
}

/// The host of an address, with its port.
pub(super) fn host(address: &str) -> &str {
    let authority = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or(authority);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}
