//! Picks each node's interpreter: the user's choice or the default, unless the node's files require another
//! version that is available.

use super::{Facts, PythonChoice, find};
use crate::{error::Error, plan::Requires, process_env::ProcessEnv};
use std::path::Path;
use tokio::sync::OnceCell;

/// The interpreters of this machine, each queried once.
pub(crate) struct Pythons<'a> {
    choice: Option<&'a PythonChoice>,
    process_env: &'a ProcessEnv,
    folder: &'a Path,
    cache: &'a Path,
    default_python: OnceCell<Facts>,
    all: OnceCell<Vec<Facts>>,
}

/// A picked interpreter with the reason.
#[derive(Debug, Clone)]
pub(crate) struct Picked {
    pub(crate) facts: Facts,
    /// Whether the user or a file of the node chose it or its version.
    pub(crate) is_named: bool,
    /// Why it is not the default.
    pub(crate) note: Option<String>,
}

impl<'a> Pythons<'a> {
    /// `folder` is the working directory of version managers' commands, `cache` the cache of answers.
    pub(crate) fn new(
        choice: Option<&'a PythonChoice>,
        process_env: &'a ProcessEnv,
        folder: &'a Path,
        cache: &'a Path,
    ) -> Self {
        Self { choice, process_env, folder, cache, default_python: OnceCell::new(), all: OnceCell::new() }
    }

    /// The interpreter for a node with or without a version requirement.
    pub(crate) async fn pick(&self, requires: Option<&Requires>) -> Result<Picked, Error> {
        let default_python = self.default_python().await;
        let Some(requires) = requires else {
            let facts = default_python?.clone();
            return Ok(Picked { facts, is_named: self.choice.is_some(), note: None });
        };
        match default_python {
            Ok(facts) if requires.allows(&facts.version) => {
                Ok(Picked { facts: facts.clone(), is_named: true, note: None })
            }
            Ok(facts) if self.choice.is_some() && !requires.is_firm => {
                Ok(Picked { facts: facts.clone(), is_named: true, note: None })
            }
            Err(error) if self.choice.is_some() => Err(error),
            default_python => self.other(requires, default_python).await,
        }
    }

    /// Picks another interpreter than the default, which does not meet a file's requirement.
    async fn other(
        &self,
        requires: &Requires,
        default_python: Result<&Facts, Error>,
    ) -> Result<Picked, Error> {
        let found = self.all().await.iter().find(|facts| requires.allows(&facts.version));
        match (found, default_python) {
            (Some(facts), _) if self.choice.is_none() => {
                let file = requires.file.strip_prefix(self.folder).unwrap_or(&requires.file).display();
                let (version, python) = (&facts.version, facts.python.display());
                let note = format!(
                    "`{file}` asks for Python `{}`: using {version} at `{python}`",
                    requires.specifiers
                );
                Ok(Picked { facts: facts.clone(), is_named: true, note: Some(note) })
            }
            (_, Ok(facts)) if !requires.is_firm => {
                Ok(Picked { facts: facts.clone(), is_named: false, note: None })
            }
            (found, Ok(facts)) => Err(Error::RequiresPython {
                file: requires.file.clone(),
                requires: requires.specifiers.to_string(),
                python: facts.python.clone(),
                version: facts.version.clone(),
                found: found.map(|found| found.python.clone()),
            }),
            (_, Err(error)) => Err(error),
        }
    }

    async fn default_python(&self) -> Result<&Facts, Error> {
        let find = || find::find(self.choice, self.process_env, self.folder, self.cache);
        self.default_python.get_or_try_init(find).await
    }

    /// All interpreters that are new enough, one per minor version, newest first.
    pub(crate) async fn all(&self) -> &[Facts] {
        self.all.get_or_init(|| find::all(self.process_env, self.folder, self.cache)).await
    }

    pub(crate) fn process_env(&self) -> &ProcessEnv {
        self.process_env
    }
}
