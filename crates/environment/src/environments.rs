//! The entry point: chooses or creates each node's interpreter.

use crate::{
    Cleaned, Event, FoundProgram, Modules, ProcessEnv, PythonChoice, Sdk, Version,
    cache::{self, EnvironmentFolder, Record},
    error::Error,
    event::Step,
    finding::Finding,
    imports::Installed,
    install::{self, Job, PREFERRED_PROTOBUF, PROTOBUF},
    key::Key,
    need::{Basis, Need},
    node_source::NodeSource,
    plan::{Files, Plan},
    process::GroupGuard,
    python::{Facts, Picked, Pythons},
    sdk::PYTHON,
};
use futures::{StreamExt, TryStreamExt, stream};
use krt_model::{hint, severity::Severity};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    path::{self, Path, PathBuf},
    time::Duration,
};

/// How many environments are created at a time.
const MAX_CONCURRENT: usize = 2;

/// Part of every key: a change invalidates every environment.
const KEY_FORMAT: &str = "1";

/// The interpreter of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The executable.
    pub python: PathBuf,
    /// Its version.
    pub version: Version,
    /// The `protobuf` version in it.
    pub protobuf: Version,
    /// The environment created for the node. `None`: the user's own interpreter, unchanged.
    pub environment: Option<PathBuf>,
}

/// Chooses and creates environments.
pub struct Environments {
    cache: PathBuf,
    choice: Option<PythonChoice>,
    process_env: ProcessEnv,
    files: Files,
    guard: GroupGuard,
}

impl Environments {
    /// Stores environments below a cache folder, created on demand, and uses the chosen interpreter. Without
    /// a choice, uses the active virtual environment's or the first on `PATH`, unless a node's files require
    /// another version, or pin packages without a wheel for it.
    pub fn new(cache: PathBuf, choice: Option<PythonChoice>) -> Self {
        let cache = path::absolute(&cache).unwrap_or(cache);
        let process_env = ProcessEnv::of_process();
        Self { cache, choice, process_env, files: Files::Live, guard: GroupGuard::default() }
    }

    /// Uses other environment variables than this process's.
    #[must_use]
    pub fn with_process_env(self, process_env: ProcessEnv) -> Self {
        Self { process_env, ..self }
    }

    /// Ends installers with this process, however it ends.
    #[must_use]
    pub fn with_guard(self, guard: GroupGuard) -> Self {
        Self { guard, ..self }
    }

    /// Sets whether the packages' files may change.
    #[must_use]
    pub fn with_files(self, files: Files) -> Self {
        Self { files, ..self }
    }

    /// Returns the interpreter of each node, in the given order. Creates each missing environment once, two
    /// at a time. Fails where a node's import cannot be satisfied. Dropping the future ends running
    /// installers and leaves nothing half-made.
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
        let cache = self.cache.join("interpreters");
        let pythons = Pythons::new(self.choice.as_ref(), &self.process_env, root, &cache);
        let mut resolved = Vec::new();
        for node in nodes {
            resolved.push(self.resolve(Need::of(root, node, self.files)?, &pythons).await?);
        }
        let findings = resolved.iter_mut().flat_map(|resolved| std::mem::take(&mut resolved.findings));
        report(findings.collect(), on_event)?;
        let made = self.make(&resolved, on_event).await?;
        report(resolved.iter().flat_map(ResolvedNode::missing).collect(), on_event)?;
        Ok(resolved.iter().map(|resolved| resolved.home.interpreter(&made)).collect())
    }

    /// Returns the executables of this machine's interpreters, with those below virtual environments, that
    /// nodes of the package at `root` may get. No environment is created.
    pub async fn installed(&self, root: &Path) -> Vec<PathBuf> {
        let cache = self.cache.join("interpreters");
        let pythons = Pythons::new(self.choice.as_ref(), &self.process_env, root, &cache);
        let usual = pythons.pick(None).await.ok().map(|picked| picked.facts);
        let all = pythons.all().await.iter().cloned().chain(usual);
        all.flat_map(|facts| [facts.python, facts.base]).collect()
    }

    /// Returns this machine's interpreters, one for each minor version: first the one of nodes that require no
    /// version, if there is one, then the newest.
    pub async fn pythons(&self, root: &Path) -> Vec<FoundProgram> {
        let cache = self.cache.join("interpreters");
        let pythons = Pythons::new(self.choice.as_ref(), &self.process_env, root, &cache);
        let usual = pythons.pick(None).await.ok().map(|picked| picked.facts);
        let is_other = |facts: &Facts| usual.as_ref().is_none_or(|usual| usual.version != facts.version);
        let others = pythons.all().await.iter().filter(|facts| is_other(facts)).cloned();
        let found = |facts: Facts| FoundProgram { path: facts.python, version: facts.version };
        usual.clone().into_iter().chain(others).map(found).collect()
    }

    /// Finds problems with nodes' imports and requirements without starting the nodes. Creates an environment
    /// only where nothing else shows whether a declared package brings an import along.
    pub async fn examine(
        &self,
        nodes: &[NodeSource],
        root: &Path,
        on_event: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Vec<Finding>, Error> {
        let root = &path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let cache = self.cache.join("interpreters");
        let pythons = Pythons::new(self.choice.as_ref(), &self.process_env, root, &cache);
        let mut findings = Vec::new();
        for node in nodes {
            let need = Need::of(root, node, self.files)?;
            findings.extend(self.examine_one(need, &pythons, on_event).await);
        }
        Ok(findings)
    }

    async fn examine_one(
        &self,
        need: Need,
        pythons: &Pythons<'_>,
        on_event: &(dyn Fn(Event) + Send + Sync),
    ) -> Vec<Finding> {
        let static_findings = need.without_interpreter();
        let has_plan = need.plan.is_some();
        let resolved = match pythons.pick(need.requires.as_ref()).await {
            Err(error @ Error::NoPython { .. }) => {
                let mut findings = if has_plan { Vec::new() } else { static_findings };
                findings.push(need.finding(Severity::Warning, &error));
                return findings;
            }
            Err(error) => return vec![need.finding(Severity::Error, &error)],
            Ok(picked) => self.resolve_with(need, picked, pythons).await,
        };
        let mut findings = resolved.findings.clone();
        if resolved.is_open() {
            match self.make(std::slice::from_ref(&resolved), on_event).await {
                Ok(_) => findings.extend(resolved.missing()),
                Err(error) => {
                    findings.push(resolved.need.finding(Severity::Warning, &error));
                }
            }
        }
        findings
    }

    /// Chooses the interpreter or environment of a node.
    async fn resolve(&self, need: Need, pythons: &Pythons<'_>) -> Result<ResolvedNode, Error> {
        let picked = pythons.pick(need.requires.as_ref()).await?;
        Ok(self.resolve_with(need, picked, pythons).await)
    }

    async fn resolve_with(&self, mut need: Need, picked: Picked, pythons: &Pythons<'_>) -> ResolvedNode {
        let mut findings: Vec<Finding> = picked.note.iter().map(|note| need.note(note)).collect();
        let (mut facts, mut missing_wheels) = (picked.facts, None);
        let home = match &need.plan {
            Some(plan) => {
                if !self.place(Some(plan), &facts).is_complete() {
                    let other = self.with_wheels(plan, &facts, picked.is_named, pythons).await;
                    if let Some(BetterInterpreter { instead, sentence }) = other {
                        let is_instead = instead.is_some();
                        facts = instead.unwrap_or(facts);
                        findings.push(need.about_wheels(&sentence, is_instead.then_some(&facts)));
                        missing_wheels = (!is_instead).then_some(sentence);
                    }
                }
                Home::Environment(self.place(Some(plan), &facts))
            }
            None => {
                let (basis, found) = need.basis(&facts);
                findings.extend(found);
                match basis {
                    Basis::Interpreter => Home::AsItIs(as_it_is(&facts)),
                    Basis::Environment(plan) => {
                        let place = self.place(plan.as_deref(), &facts);
                        need.plan_of_imports = plan.map(|plan| *plan);
                        Home::Environment(place)
                    }
                }
            }
        };
        ResolvedNode { need, facts, home, missing_wheels, findings }
    }

    /// Returns the pins without a wheel for an interpreter, and another interpreter that has them, unless the
    /// interpreter was named.
    async fn with_wheels(
        &self,
        plan: &Plan,
        facts: &Facts,
        is_named: bool,
        pythons: &Pythons<'_>,
    ) -> Option<BetterInterpreter> {
        let cache = self.cache.join("wheels");
        let missing_wheels = install::missing_wheels(plan, facts, pythons.process_env(), &cache).await?;
        if missing_wheels.is_empty() {
            return None;
        }
        let found = pythons.all().await.iter().find(|other| missing_wheels.has(&other.version));
        let sentence = missing_wheels.sentence(&facts.version, found);
        Some(BetterInterpreter { instead: found.filter(|_| !is_named).cloned(), sentence })
    }

    /// Creates the missing environments.
    async fn make(
        &self,
        resolved: &[ResolvedNode],
        on_event: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<HashMap<EnvironmentFolder, Record>, Error> {
        let jobs = self.jobs(resolved, on_event);
        stream::iter(&jobs)
            .map(|job| async move { Ok((job.place.clone(), job.run().await?)) })
            .buffer_unordered(MAX_CONCURRENT)
            .try_collect()
            .await
    }

    /// The embedded Python SDK, extracted to the cache.
    pub fn sdk(&self) -> Result<Sdk, Error> {
        Sdk::below(&self.cache, &PYTHON)
    }

    /// The `*_pb2` modules of a package, extracted to the cache: those of the `files` in `descriptors`, a
    /// serialized `FileDescriptorSet`.
    pub fn modules(&self, descriptors: &[u8], files: &[&str]) -> Result<Modules, Error> {
        Modules::below(&self.cache, descriptors, files)
    }

    /// Removes environments that no run has started with for a time, including those that a process which
    /// started earlier still uses: choose the time accordingly.
    pub fn clean(&self, unused_for: Duration) -> Result<Cleaned, Error> {
        cache::clean(&self.environments(), unused_for)
    }

    fn environments(&self) -> PathBuf {
        self.cache.join("environments")
    }

    fn place(&self, plan: Option<&Plan>, facts: &Facts) -> EnvironmentFolder {
        EnvironmentFolder::new(&self.environments(), &key(plan, facts))
    }

    /// One job for each distinct environment, with all nodes that share it.
    fn jobs<'a>(
        &'a self,
        resolved: &'a [ResolvedNode],
        on_event: &'a (dyn Fn(Event) + Send + Sync),
    ) -> Vec<Job<'a>> {
        let mut jobs: Vec<Job<'a>> = Vec::new();
        for one in resolved {
            let Home::Environment(place) = &one.home else { continue };
            if jobs.iter().any(|job| job.place == *place) {
                continue;
            }
            let sharing = resolved.iter().filter(|other| other.home == one.home);
            jobs.push(Job {
                place: place.clone(),
                nodes: sharing.map(|other| other.need.node.clone()).collect(),
                plan: one.need.plan.as_ref().or(one.need.plan_of_imports.as_ref()),
                facts: &one.facts,
                missing_wheels: one.missing_wheels.as_ref(),
                process_env: &self.process_env,
                guard: &self.guard,
                on_event,
            });
        }
        jobs
    }
}

/// A better interpreter, and why.
struct BetterInterpreter {
    instead: Option<Facts>,
    sentence: String,
}

/// A node and its interpreter or environment.
struct ResolvedNode {
    need: Need,
    facts: Facts,
    home: Home,
    /// The pins without a wheel for the interpreter.
    missing_wheels: Option<String>,
    /// Findings to report first.
    findings: Vec<Finding>,
}

impl ResolvedNode {
    /// Imports that the finished environment lacks. An unchanged interpreter was checked before.
    fn missing(&self) -> Vec<Finding> {
        match &self.home {
            Home::Environment(place) if self.need.plan.is_some() => {
                self.need.missing(&Installed::in_environment(&place.environment()), &self.facts)
            }
            _ => Vec::new(),
        }
    }

    /// Whether only the finished environment shows if all imports are present.
    fn is_open(&self) -> bool {
        self.missing_wheels.is_none() && self.need.not_named()
    }
}

/// Reports findings; returns all errors at once.
fn report(findings: Vec<Finding>, on_event: &(dyn Fn(Event) + Send + Sync)) -> Result<(), Error> {
    let (errors, others): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    for finding in others {
        let text = hint::line(&finding);
        let step = if finding.severity == Severity::Note { Step::Note(text) } else { Step::Warning(text) };
        on_event(Event { nodes: vec![finding.node], step });
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Undeclared(errors)) }
}

fn as_it_is(facts: &Facts) -> Interpreter {
    let (python, version) = (facts.python.clone(), facts.version.clone());
    let protobuf = facts.protobuf.clone().unwrap_or_else(|| Version::new([0]));
    Interpreter { python, version, protobuf, environment: None }
}

/// The home of a node.
#[derive(PartialEq)]
enum Home {
    /// The user's own interpreter.
    AsItIs(Interpreter),
    /// An environment for the node, complete or not.
    Environment(EnvironmentFolder),
}

impl Home {
    fn interpreter(&self, made: &HashMap<EnvironmentFolder, Record>) -> Interpreter {
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

/// The key of an environment: everything that decides its content, except the index in the user's settings.
fn key(plan: Option<&Plan>, facts: &Facts) -> String {
    let version = facts.version.to_string();
    [KEY_FORMAT, PREFERRED_PROTOBUF, PROTOBUF, &facts.implementation, &version, &facts.platform]
        .into_iter()
        .fold(Key::default(), Key::with)
        .with(facts.base.as_os_str().as_encoded_bytes())
        .with(plan.map_or("", |plan| &plan.content))
        .finish()
}
