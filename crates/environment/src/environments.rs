//! The way in: which interpreter each node runs in.

use crate::{
    Cleaned, Event, PythonChoice, Sdk, Surroundings, Version,
    cache::{self, Place, Record},
    error::Error,
    install::{Job, PROTOBUF},
    key::Key,
    plan::Plan,
    python::{self, Facts, OLDEST_PROTOBUF, is_at_least},
    sdk::PYTHON,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::{
    collections::HashMap,
    path::{self, Path, PathBuf},
    time::Duration,
};

/// Environments that are made at the same time.
const AT_ONCE: usize = 2;

/// Part of every key: another number makes every environment anew.
const FORM: &str = "1";

/// A Python node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSource {
    /// Its name.
    pub name: String,
    /// Its Python file, relative to the package's root.
    pub src: PathBuf,
}

/// What a node runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The executable.
    pub python: PathBuf,
    /// Its version.
    pub version: Version,
    /// The version of `protobuf` it imports.
    pub protobuf: Version,
    /// The environment that was made for the node. `None`: the user's own interpreter, as it is.
    pub environment: Option<PathBuf>,
}

/// Decides and makes environments.
pub struct Environments {
    cache: PathBuf,
    choice: Option<PythonChoice>,
    surroundings: Surroundings,
}

impl Environments {
    /// Keeps what it makes below a cache folder, which need not exist, and uses the interpreter chosen;
    /// without a choice, the active virtual environment's or the first on `PATH`.
    pub fn new(cache: PathBuf, choice: Option<PythonChoice>) -> Self {
        let cache = path::absolute(&cache).unwrap_or(cache);
        Self { cache, choice, surroundings: Surroundings::of_process() }
    }

    /// The same, with other environment variables than this process's.
    #[must_use]
    pub fn with_surroundings(self, surroundings: Surroundings) -> Self {
        Self { surroundings, ..self }
    }

    /// The interpreter of each node, in the order given. Makes the environments that are missing, each
    /// once, two at a time. Dropped in between, it ends what runs and leaves nothing half-made.
    pub async fn prepare(
        &self,
        nodes: &[NodeSource],
        root: &Path,
        on_event: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Vec<Interpreter>, Error> {
        if nodes.is_empty() {
            return Ok(Vec::new());
        }
        let root = &path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let plans: Vec<Option<Plan>> =
            nodes.iter().map(|node| Plan::of(root, &node.src)).collect::<Result<_, _>>()?;
        let memory = self.cache.join("interpreters");
        let facts = python::find(self.choice.as_ref(), &self.surroundings, root, &memory).await?;
        for plan in plans.iter().flatten() {
            plan.check(&facts.python, &facts.version)?;
        }
        let homes: Vec<Home> = plans.iter().map(|plan| self.home(plan.as_ref(), &facts)).collect();
        let jobs = self.jobs(nodes, &plans, &homes, &facts, on_event);
        let made: HashMap<Place, Record> = stream::iter(&jobs)
            .map(|job| async move { Ok((job.place.clone(), job.run().await?)) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(homes.iter().map(|home| home.interpreter(&made)).collect())
    }

    /// The embedded Python SDK, laid down in the cache.
    pub fn sdk(&self) -> Result<Sdk, Error> {
        Sdk::below(&self.cache, &PYTHON)
    }

    /// Removes the environments that no run has started with for a time. One that a process started
    /// longer ago still uses is removed too: choose the time accordingly.
    pub fn clean(&self, unused_for: Duration) -> Result<Cleaned, Error> {
        cache::clean(&self.environments(), unused_for)
    }

    fn environments(&self) -> PathBuf {
        self.cache.join("environments")
    }

    /// Where a node of a plan runs.
    fn home(&self, plan: Option<&Plan>, facts: &Facts) -> Home {
        match &facts.protobuf {
            Some(protobuf) if plan.is_none() && is_at_least(protobuf, OLDEST_PROTOBUF) => {
                Home::AsItIs(Interpreter {
                    python: facts.python.clone(),
                    version: facts.version.clone(),
                    protobuf: protobuf.clone(),
                    environment: None,
                })
            }
            _ => Home::Environment(Place::new(&self.environments(), &key(plan, facts))),
        }
    }

    /// One job for each different environment, with all nodes that share it.
    fn jobs<'a>(
        &'a self,
        nodes: &[NodeSource],
        plans: &'a [Option<Plan>],
        homes: &[Home],
        facts: &'a Facts,
        on_event: &'a (dyn Fn(Event) + Send + Sync),
    ) -> Vec<Job<'a>> {
        let mut jobs: Vec<Job<'a>> = Vec::new();
        for (plan, home) in plans.iter().zip(homes) {
            let Home::Environment(place) = home else { continue };
            if jobs.iter().any(|job| job.place == *place) {
                continue;
            }
            let sharing = nodes.iter().zip(homes).filter(|(_, other)| *other == home);
            let nodes: Vec<String> = sharing.map(|(node, _)| node.name.clone()).collect();
            jobs.push(Job {
                place: place.clone(),
                nodes,
                plan: plan.as_ref(),
                facts,
                surroundings: &self.surroundings,
                on_event,
            });
        }
        jobs
    }
}

/// Where a node runs.
#[derive(PartialEq)]
enum Home {
    /// In the user's own interpreter.
    AsItIs(Interpreter),
    /// In an environment that is made for it, or was.
    Environment(Place),
}

impl Home {
    fn interpreter(&self, made: &HashMap<Place, Record>) -> Interpreter {
        match self {
            Self::AsItIs(interpreter) => interpreter.clone(),
            Self::Environment(place) => {
                let record = &made[place];
                Interpreter {
                    python: place.python(),
                    version: record.version.clone(),
                    protobuf: record.protobuf.clone(),
                    environment: Some(place.environment()),
                }
            }
        }
    }
}

/// What an environment is kept under: all that decides what is in it. Which index the user's settings
/// name is no part of it.
fn key(plan: Option<&Plan>, facts: &Facts) -> String {
    let version = facts.version.to_string();
    [FORM, PROTOBUF, &facts.implementation, &version, &facts.platform]
        .into_iter()
        .fold(Key::default(), Key::with)
        .with(facts.base.as_os_str().as_encoded_bytes())
        .with(plan.map_or("", |plan| &plan.content))
        .finish()
}
