//! Makes one environment: a virtual environment, what the plan wants in it, and `protobuf`.

mod tool;

use crate::{
    cache::{HalfMade, Place, Record},
    error::Error,
    event::{Event, Step},
    lock::Lock,
    plan::{Plan, Wanted},
    process::Run,
    python::{Facts, OLDEST_PROTOBUF, is_at_least, probe},
    surroundings::Surroundings,
};
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};
use tool::Installer;

/// What is installed where a file does not name `protobuf`: the versions the SDK works with.
pub(crate) const PROTOBUF: &str = "protobuf>=3.20,<8";

/// One environment to make.
pub(crate) struct Job<'a> {
    pub(crate) place: Place,
    pub(crate) nodes: Vec<String>,
    pub(crate) plan: Option<&'a Plan>,
    pub(crate) facts: &'a Facts,
    pub(crate) surroundings: &'a Surroundings,
    pub(crate) on_event: &'a (dyn Fn(Event) + Send + Sync),
}

impl Job<'_> {
    /// Makes the environment, unless another process does or did. Dropped in between, it ends the
    /// installer and leaves nothing.
    pub(crate) async fn run(&self) -> Result<Record, Error> {
        if let Some(record) = self.reuse() {
            return Ok(record);
        }
        let lock = Lock::take(&self.place.lock_file(), || self.tell(Step::Waiting)).await?;
        if let Some(record) = self.reuse() {
            return Ok(record);
        }
        let started = Instant::now();
        let half_made = self.place.begin(&lock)?;
        let record = self.make(&lock, half_made).await?;
        self.tell(Step::Installed { elapsed: started.elapsed() });
        Ok(record)
    }

    fn tell(&self, step: Step) {
        (self.on_event)(Event { nodes: self.nodes.clone(), step });
    }

    fn reuse(&self) -> Option<Record> {
        let record = self.place.complete()?;
        self.place.touch();
        self.tell(Step::Reusing);
        Some(record)
    }

    async fn make(&self, lock: &Lock, half_made: HalfMade<'_>) -> Result<Record, Error> {
        let installer = Installer::find(self.facts, self.surroundings).await;
        self.tell(Step::Creating { tool: installer.tool(), file: self.file() });
        let folder = self.place.environment();
        self.call(lock, &installer, installer.create(&folder)).await?;
        self.call(lock, &installer, installer.install(&folder, &self.wanted()?)).await?;
        let mut facts = self.ask().await?;
        if facts.protobuf.is_none() {
            let protobuf = [PROTOBUF.into()];
            self.call(lock, &installer, installer.install(&folder, &protobuf)).await?;
            facts = self.ask().await?;
        }
        let record = self.record(facts, &installer)?;
        half_made.finish(&record)?;
        Ok(record)
    }

    /// Runs one command of the installer.
    async fn call(&self, lock: &Lock, installer: &Installer, command: Vec<OsString>) -> Result<(), Error> {
        let hold = lock.share().map_err(|source| self.not_started(&command, source))?;
        let run = Run {
            command: &command,
            variables: installer.variables(self.surroundings, &self.place.workshop()),
            folder: self.plan.map_or(Path::new("/"), Plan::folder),
            hold,
            results: None,
            on_line: &|line| self.tell(Step::Installing { line }),
        };
        let ended = run.finish().await.map_err(|source| self.not_started(&command, source))?;
        if ended.status.success() {
            return Ok(());
        }
        Err(Error::Install {
            nodes: self.nodes.clone(),
            file: self.file(),
            tool: installer.tool(),
            status: ended.status,
            output: ended.output,
        })
    }

    /// The arguments that name what is to be installed. A file with hashes allows nothing without one
    /// beside it: `protobuf` is then installed afterwards.
    fn wanted(&self) -> Result<Vec<OsString>, Error> {
        let Some(plan) = self.plan else { return Ok(vec![PROTOBUF.into()]) };
        let mut arguments: Vec<OsString> = match &plan.wanted {
            Wanted::File => vec!["-r".into(), plan.file.clone().into()],
            Wanted::Lines(lines) => vec!["-r".into(), self.note("requirements.txt", lines)?.into()],
        };
        arguments.extend(plan.options.iter().map(OsString::from));
        if !plan.pins.is_empty() {
            arguments.extend(["-c".into(), self.note("constraints.txt", &plan.pins)?.into()]);
        }
        if !plan.names_protobuf && !plan.has_hashes {
            arguments.push(PROTOBUF.into());
        }
        Ok(arguments)
    }

    /// Writes lines for the installer, which may hold credentials, in the workshop.
    fn note(&self, name: &str, lines: &[String]) -> Result<PathBuf, Error> {
        let path = self.place.workshop().join(name);
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        match fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Cache { path, source }),
        }
    }

    /// What the new environment's interpreter is.
    async fn ask(&self) -> Result<Facts, Error> {
        let surroundings = self.surroundings.clone().without(&tool::NEVER_PASSED);
        probe(&self.place.python(), &surroundings, Path::new("/"))
            .await
            .map_err(|problem| self.unusable(format!("its interpreter {problem}")))
    }

    fn record(&self, facts: Facts, installer: &Installer) -> Result<Record, Error> {
        let protobuf =
            facts.protobuf.ok_or_else(|| self.unusable("`protobuf` cannot be imported".to_owned()))?;
        if !is_at_least(&protobuf, OLDEST_PROTOBUF) {
            let problem = format!(
                "it holds protobuf {protobuf}, nodes need 3.20 or newer\nhint: ask for `{PROTOBUF}`, or for a newer version of what holds it back"
            );
            return Err(self.unusable(problem));
        }
        let tool = installer.tool().to_string();
        Ok(Record { version: facts.version, protobuf, base: self.facts.base.clone(), tool })
    }

    fn file(&self) -> Option<PathBuf> {
        self.plan.map(|plan| plan.file.clone())
    }

    fn unusable(&self, problem: String) -> Error {
        Error::Unusable { nodes: self.nodes.clone(), file: self.file(), problem }
    }

    fn not_started(&self, command: &[OsString], source: io::Error) -> Error {
        let command = command.first().map(PathBuf::from).unwrap_or_default();
        Error::Start { nodes: self.nodes.clone(), command, source }
    }
}
