//! Checks whether a node's pinned versions have wheels for a Python version.
//!
//! Asks the installer without installing anything, so that the user's own settings of indexes, credentials
//! and proxies apply. A version without any wheel is pure Python, or would be built for every Python alike,
//! and is not reported. Answers are cached; those with missing wheels expire after some days. Without an
//! answer, nothing is reported.

use super::tool::{Installer, NEVER_PASSED};
use crate::{event::Tool, key::Key, plan::Plan, process_env::ProcessEnv, python::Facts};
use pep440_rs::Version;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

const SCRIPT: &str = include_str!("wheels.py");

/// The minor versions of Python 3 that are checked.
const MINORS: std::ops::RangeInclusive<u64> = 6..=14;

/// The timeout of an answer. After that, the installation itself may show the problem.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long missing wheels are cached: wheels for new Python versions appear later.
const CACHE_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// The pins without a wheel for the Python in question that have wheels for others: each with those minor
/// versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MissingWheels(BTreeMap<String, BTreeSet<u64>>);

impl MissingWheels {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a Python version has wheels for all these pins.
    pub(crate) fn has(&self, version: &Version) -> bool {
        let minor = version.release().get(1).copied().unwrap_or(0);
        self.0.values().all(|minors| minors.contains(&minor))
    }

    /// A sentence with the missing wheels of a Python, and an alternative with its path if found.
    pub(crate) fn sentence(&self, version: &Version, found: Option<&Facts>) -> String {
        let mut common: BTreeSet<u64> = MINORS.collect();
        self.0.values().for_each(|minors| common.retain(|minor| minors.contains(minor)));
        let pins: Vec<String> = self.0.keys().map(|pin| shown(pin)).collect();
        let verb = if pins.len() == 1 { "has" } else { "have" };
        let would = match (common.first(), common.last()) {
            (Some(first), Some(last)) if first == last => format!("Python 3.{first} would do"),
            (Some(first), Some(last)) => format!("Python 3.{first} to 3.{last} would do"),
            _ => "no Python has wheels of all of them".to_owned(),
        };
        let found = match found {
            Some(facts) => format!("; found {} at `{}`", minor(&facts.version), facts.python.display()),
            None if common.is_empty() => String::new(),
            None => "; found none of them".to_owned(),
        };
        format!("{} {verb} no wheel for Python {}; {would}{found}", pins.join(" and "), minor(version))
    }
}

/// A pin in prose: `numpy 1.19.5`.
fn shown(pin: &str) -> String {
    let requirement = pin.split(';').next().unwrap_or(pin);
    let (name, version) = requirement.split_once("==").unwrap_or((requirement, ""));
    format!("{} {}", name.trim(), version.trim_start_matches('=').trim())
}

/// The first two numbers of a version.
fn minor(version: &Version) -> String {
    version.release().iter().take(2).map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// The pins of a plan without a wheel for an interpreter; `None` without an answer.
pub(crate) async fn missing_wheels(
    plan: &Plan,
    facts: &Facts,
    process_env: &ProcessEnv,
    cache: &Path,
) -> Option<MissingWheels> {
    if plan.exact.is_empty() {
        return Some(MissingWheels::default());
    }
    let kept = CachedAnswer::of(plan, facts, cache);
    if let Some(missing_wheels) = kept.load(true) {
        return Some(missing_wheels);
    }
    let answer = timeout(TIMEOUT, query(plan, facts, process_env)).await.ok().flatten();
    match answer {
        Some(missing_wheels) => {
            kept.store(&missing_wheels);
            Some(missing_wheels)
        }
        None => kept.load(false),
    }
}

/// A cached answer.
struct CachedAnswer(PathBuf);

impl CachedAnswer {
    fn of(plan: &Plan, facts: &Facts, cache: &Path) -> Self {
        let key = Key::default().with(&plan.content).with(&facts.platform).with(minor(&facts.version));
        Self(cache.join(format!("{}.json", key.finish())))
    }

    fn load(&self, fresh: bool) -> Option<MissingWheels> {
        let missing_wheels: MissingWheels = serde_json::from_slice(&fs::read(&self.0).ok()?).ok()?;
        let age = SystemTime::now().duration_since(fs::metadata(&self.0).ok()?.modified().ok()?);
        let holds = missing_wheels.is_empty() || !fresh || age.is_ok_and(|age| age < CACHE_FOR);
        holds.then_some(missing_wheels)
    }

    /// Ignores failures: the question is then asked again.
    fn store(&self, missing_wheels: &MissingWheels) {
        let folder = self.0.parent().unwrap_or(Path::new("/"));
        let text = serde_json::to_vec(missing_wheels).unwrap_or_default();
        drop(fs::create_dir_all(folder).and_then(|()| fs::write(&self.0, text)));
    }
}

async fn query(plan: &Plan, facts: &Facts, process_env: &ProcessEnv) -> Option<MissingWheels> {
    let installer = Installer::find(facts, process_env).await;
    let asking = WheelQuery { installer: &installer, plan, facts, process_env };
    let here = facts.version.release().get(1).copied()?;
    let pins: Vec<&str> =
        plan.exact.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
    let open = asking.without(&pins, &[here]).await?.remove(&here)?;
    if open.is_empty() {
        return Some(MissingWheels::default());
    }
    let others: Vec<u64> = MINORS.filter(|minor| *minor != here).collect();
    let without = asking.without(&pins, &others).await?;
    Some(compare(&open, &without))
}

/// The missing wheels, from the pins without one here and those without one elsewhere.
fn compare(open: &BTreeSet<String>, without: &BTreeMap<u64, BTreeSet<String>>) -> MissingWheels {
    let has = |pin: &String, minor: &u64| without.get(minor).is_some_and(|without| !without.contains(pin));
    let somewhere = |pin: &&String| without.keys().any(|minor| has(pin, minor));
    let missing_wheels: Vec<&String> = open.iter().filter(somewhere).collect();
    // Another Python does not fit if it lacks a wheel for a pin that has one here.
    let does =
        |minor: &&u64| without.get(minor).is_some_and(|without| without.iter().all(|pin| open.contains(pin)));
    let minors =
        |pin: &String| without.keys().filter(does).filter(|minor| has(pin, minor)).copied().collect();
    MissingWheels(missing_wheels.into_iter().map(|pin| (pin.clone(), minors(pin))).collect())
}

struct WheelQuery<'a> {
    installer: &'a Installer,
    plan: &'a Plan,
    facts: &'a Facts,
    process_env: &'a ProcessEnv,
}

/// The pins without a wheel, by the minor version of Python.
type MissingByMinor = BTreeMap<u64, BTreeSet<String>>;

impl WheelQuery<'_> {
    /// The pins without a wheel for each Python version; `None` without an answer.
    async fn without(&self, pins: &[&str], minors: &[u64]) -> Option<MissingByMinor> {
        match self.installer.tool() {
            Tool::Pip => self.without_by_pip(pins, minors).await,
            Tool::Uv => {
                let mut without = MissingByMinor::new();
                for minor in minors {
                    without.insert(*minor, self.without_by_uv(pins, *minor).await?);
                }
                Some(without)
            }
        }
    }

    async fn without_by_pip(&self, pins: &[&str], minors: &[u64]) -> Option<MissingByMinor> {
        let words = [self.facts.python.clone().into(), "-c".into(), SCRIPT.into()];
        let pythons: Vec<String> = minors.iter().map(|minor| format!("3.{minor}")).collect();
        let order = serde_json::json!({"pins": pins, "pythons": pythons, "sources": self.plan.sources});
        let (_, answer) = self.run(&words, order.to_string()).await?;
        let mut answer: BTreeMap<String, BTreeSet<String>> =
            serde_json::from_str(answer.lines().next_back()?).ok()?;
        minors.iter().map(|minor| Some((*minor, answer.remove(&format!("3.{minor}"))?))).collect()
    }

    /// Checks all pins at once, and each on its own if that fails.
    async fn without_by_uv(&self, pins: &[&str], minor: u64) -> Option<BTreeSet<String>> {
        let mut without = BTreeSet::new();
        if !self.resolves(pins, minor).await? {
            for pin in pins {
                if pins.len() == 1 || !self.resolves(&[pin], minor).await? {
                    without.insert((*pin).to_owned());
                }
            }
        }
        Some(without)
    }

    async fn resolves(&self, pins: &[&str], minor: u64) -> Option<bool> {
        let words = self.installer.compile(&format!("3.{minor}"));
        let lines = self.plan.sources.iter().map(String::as_str).chain(pins.iter().copied());
        let text = lines.map(|line| format!("{line}\n")).collect();
        let (succeeded, output) = self.run(&words, text).await?;
        let is_answer = succeeded || output.contains("No solution found") || output.contains("unsatisfiable");
        is_answer.then_some(succeeded)
    }

    /// Runs a command with this input; returns whether it succeeded, and its output.
    async fn run(&self, words: &[OsString], input: String) -> Option<(bool, String)> {
        let work_folder = std::env::temp_dir();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .envs(self.installer.variables(&self.process_env.clone().without(&NEVER_PASSED), &work_folder))
            .current_dir(self.plan.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take()?;
        let write = async move {
            // Fails when the command ended without reading, which its status shows.
            let _ = stdin.write_all(input.as_bytes()).await;
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), write);
        let output = output.ok()?;
        let text = [output.stderr, output.stdout].concat();
        Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn sentences() {
        let version = Version::from_str("3.13.0").unwrap();
        let missing_wheels = |pins: &[(&str, &[u64])]| {
            MissingWheels(
                pins.iter()
                    .map(|(pin, minors)| ((*pin).to_owned(), minors.iter().copied().collect()))
                    .collect(),
            )
        };
        for (pins, expected) in [
            (
                missing_wheels(&[("numpy==1.19.5", &[6, 7, 8, 9])]),
                "numpy 1.19.5 has no wheel for Python 3.13; Python 3.6 to 3.9 would do; found none of them",
            ),
            (
                missing_wheels(&[
                    ("numpy==1.19.5 ; python_version > '3'", &[9]),
                    ("scipy == 1.5.4", &[8, 9]),
                ]),
                "numpy 1.19.5 and scipy 1.5.4 have no wheel for Python 3.13; Python 3.9 would do; found none of them",
            ),
            (
                missing_wheels(&[("a==1", &[7]), ("b==2", &[9])]),
                "a 1 and b 2 have no wheel for Python 3.13; no Python has wheels of all of them",
            ),
        ] {
            assert_eq!(pins.sentence(&version, None), expected);
        }
        assert!(missing_wheels(&[("a==1", &[7, 9])]).has(&Version::from_str("3.9.18").unwrap()));
    }
}
