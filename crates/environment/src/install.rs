//! Creates one environment: a virtual environment, the plan's packages, and `protobuf`.

mod tool;
mod wheels;

use crate::{
    cache::{EnvironmentFolder, PartialEntry, Record},
    error::Error,
    event::{Event, Step},
    lock::Lock,
    plan::{PackageSource, Plan, TranscriptWriter},
    process::{GroupGuard, Run},
    process_env::ProcessEnv,
    python::{Facts, NEWER_PROTOBUF, OLDEST_PROTOBUF, is_at_least, probe},
};
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};
use tool::Installer;
pub(crate) use wheels::missing_wheels;

/// The `protobuf` requirement where no file names it and other requirements conflict with the preferred
/// version: the versions that the SDK supports.
pub(crate) const PROTOBUF: &str = "protobuf>=3.20,<8";

/// The `protobuf` requirement where no file names it: the last versions that code of KRT v1's time works
/// with. 4.25 is the newest of them; older Pythons get an older one.
pub(crate) const PREFERRED_PROTOBUF: &str = "protobuf>=3.19,<4.26";

/// An environment to create.
pub(crate) struct Job<'a> {
    pub(crate) place: EnvironmentFolder,
    pub(crate) nodes: Vec<String>,
    pub(crate) plan: Option<&'a Plan>,
    pub(crate) facts: &'a Facts,
    /// The pins without a wheel for the interpreter, reported if the installation fails.
    pub(crate) missing_wheels: Option<&'a String>,
    pub(crate) process_env: &'a ProcessEnv,
    pub(crate) guard: &'a GroupGuard,
    pub(crate) on_event: &'a (dyn Fn(Event) + Send + Sync),
}

impl Job<'_> {
    /// Creates the environment, unless another process does or did. Dropping the future ends the installer
    /// and leaves nothing behind.
    pub(crate) async fn run(&self) -> Result<Record, Error> {
        if let Some(record) = self.reuse() {
            return Ok(record);
        }
        let lock = Lock::take(&self.place.lock_file(), || self.report(Step::Waiting)).await?;
        if let Some(record) = self.reuse() {
            return Ok(record);
        }
        let started = Instant::now();
        let half_made = self.place.create(&lock)?;
        let record = self.make(&lock, half_made).await?;
        self.report(Step::Installed { elapsed: started.elapsed() });
        Ok(record)
    }

    fn report(&self, step: Step) {
        (self.on_event)(Event { nodes: self.nodes.clone(), step });
    }

    fn reuse(&self) -> Option<Record> {
        let record = self.place.complete()?;
        self.place.touch();
        self.report(Step::Reusing);
        Some(record)
    }

    async fn make(&self, lock: &Lock, half_made: PartialEntry<'_>) -> Result<Record, Error> {
        let installer = Installer::find(self.facts, self.process_env).await;
        self.report(Step::Creating { tool: installer.tool(), file: self.file() });
        let folder = self.place.environment();
        self.call(lock, &installer, installer.create(&folder)).await?;
        self.install(lock, &installer).await?;
        let mut facts = self.probe().await?;
        if facts.protobuf.is_none() {
            let wants = [vec![PREFERRED_PROTOBUF.into()], vec![PROTOBUF.into()]];
            self.install_first(lock, &installer, &wants).await?;
            facts = self.probe().await?;
        }
        if !is_chosen(self.plan) {
            self.note_protobuf(&facts);
        }
        let record = self.record(facts, &installer)?;
        half_made.finish(&record)?;
        Ok(record)
    }

    /// Installs the packages: with preferred versions, or without if those conflict.
    async fn install(&self, lock: &Lock, installer: &Installer) -> Result<(), Error> {
        let base = self.wanted()?;
        let preferred: &[String] = self.plan.map_or(&[], |plan| &plan.preferred);
        let adds_protobuf = self.plan.is_none_or(|plan| !plan.names_protobuf() && !plan.has_hashes);
        let mut wants = vec![base.clone(), base];
        if adds_protobuf {
            wants[0].push(PREFERRED_PROTOBUF.into());
            wants[1].push(PROTOBUF.into());
        }
        if !preferred.is_empty() {
            wants[0].extend(["-c".into(), self.note("preferred.txt", preferred)?.into()]);
        }
        if wants[0] == wants[1] {
            wants.truncate(1);
        }
        self.install_first(lock, installer, &wants).await
    }

    /// Installs the first possible set of packages: tries the next one where the difference caused the
    /// failure.
    async fn install_first(
        &self,
        lock: &Lock,
        installer: &Installer,
        wants: &[Vec<OsString>],
    ) -> Result<(), Error> {
        let folder = self.place.environment();
        let (last, before) = wants.split_last().unwrap_or((const { &Vec::new() }, &[]));
        for want in before {
            match self.call(lock, installer, installer.install(&folder, want)).await {
                Err(Error::Install { output, .. }) if self.is_in_the_way(&output) => {}
                done => return done,
            }
        }
        self.call(lock, installer, installer.install(&folder, last)).await
    }

    /// Whether an installation may have failed because of preferred versions.
    fn is_in_the_way(&self, output: &[String]) -> bool {
        let preferred = self.plan.is_some_and(|plan| !plan.preferred.is_empty());
        preferred || output.iter().any(|line| line.to_ascii_lowercase().contains("protobuf"))
    }

    /// Reports the `protobuf` version if it is newer than code of KRT v1's time supports.
    fn note_protobuf(&self, facts: &Facts) {
        let newer = facts.protobuf.as_ref().filter(|version| is_at_least(version, NEWER_PROTOBUF));
        if let Some(version) = newer {
            self.report(Step::Note(format!(
                "it has protobuf {version}: its other requirements do not allow 4.25, the last that code of KRT v1's time works with"
            )));
        }
    }

    /// Runs one command of the installer.
    async fn call(&self, lock: &Lock, installer: &Installer, command: Vec<OsString>) -> Result<(), Error> {
        let hold = lock.share().map_err(|source| self.not_started(&command, source))?;
        let run = Run {
            guard: self.guard,
            command: &command,
            variables: installer.variables(self.process_env, &self.place.work_folder()),
            folder: self.plan.map_or(Path::new("/"), Plan::folder),
            hold,
            results: None,
            on_line: &|line| self.report(Step::Installing { line }),
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
            missing_wheels: self.missing_wheels.cloned(),
        })
    }

    /// The arguments with the packages to install, except `protobuf`. A file with hashes allows no package
    /// without one, so `protobuf` is then installed afterwards.
    fn wanted(&self) -> Result<Vec<OsString>, Error> {
        let Some(plan) = self.plan else { return Ok(Vec::new()) };
        let (work_folder, projects) = (self.place.work_folder(), self.place.projects());
        let writer = |transcript| TranscriptWriter::new(plan.folder(), &work_folder, &projects, transcript);
        let file = match (&plan.wanted, &plan.transcript) {
            (PackageSource::File, None) => plan.file.clone(),
            (PackageSource::File, Some(transcript)) => {
                self.note("requirements.txt", &writer(transcript).file(&plan.file)?)?
            }
            (PackageSource::Lines(lines), None) => self.note("requirements.txt", lines)?,
            (PackageSource::Lines(lines), Some(transcript)) => {
                self.note("requirements.txt", &writer(transcript).lines(&plan.file, lines)?)?
            }
        };
        let mut arguments: Vec<OsString> = vec!["-r".into(), file.into()];
        arguments.extend(plan.options.iter().map(OsString::from));
        if !plan.only_wheels.is_empty() {
            arguments.extend(["--only-binary".into(), plan.only_wheels.join(",").into()]);
        }
        if !plan.pins.is_empty() {
            arguments.extend(["-c".into(), self.note("constraints.txt", &plan.pins)?.into()]);
        }
        Ok(arguments)
    }

    /// Writes lines for the installer, which may contain credentials, to the work folder.
    fn note(&self, name: &str, lines: &[String]) -> Result<PathBuf, Error> {
        let path = self.place.work_folder().join(name);
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        match fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Cache { path, source }),
        }
    }

    /// Asks the new environment's interpreter for its facts.
    async fn probe(&self) -> Result<Facts, Error> {
        let process_env = self.process_env.clone().without(&tool::NEVER_PASSED);
        probe(&self.place.python(), &process_env, Path::new("/"))
            .await
            .map_err(|problem| self.unusable(format!("its interpreter {problem}"), None))
    }

    fn record(&self, facts: Facts, installer: &Installer) -> Result<Record, Error> {
        let protobuf =
            facts.protobuf.ok_or_else(|| self.unusable("`protobuf` cannot be imported".to_owned(), None))?;
        if !is_at_least(&protobuf, OLDEST_PROTOBUF) {
            let problem = format!("it holds protobuf {protobuf}, nodes need 3.6 or newer");
            let hint = format!("ask for `{PROTOBUF}`, or for a newer version of what holds it back");
            return Err(self.unusable(problem, Some(hint)));
        }
        let tool = installer.tool().to_string();
        Ok(Record { version: facts.version, protobuf, base: self.facts.base.clone(), tool })
    }

    fn file(&self) -> Option<PathBuf> {
        self.plan.map(|plan| plan.file.clone())
    }

    fn unusable(&self, problem: String, hint: Option<String>) -> Error {
        Error::Unusable { nodes: self.nodes.clone(), file: self.file(), problem, hint }
    }

    fn not_started(&self, command: &[OsString], source: io::Error) -> Error {
        let command = command.first().map(PathBuf::from).unwrap_or_default();
        Error::Start { nodes: self.nodes.clone(), command, source }
    }
}

/// Whether the user chose `protobuf`.
fn is_chosen(plan: Option<&Plan>) -> bool {
    plan.is_some_and(Plan::names_protobuf)
}
