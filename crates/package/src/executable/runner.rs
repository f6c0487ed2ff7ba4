//! Detects the older runner of KRT v1 in an executable, by its modules or, if their list was stripped, by the
//! names of the variables that the runner reads.

use super::modules::{self, Module};
use krt_model::version::{Generation, OlderRunner};
use memchr::memmem;
use std::fmt;

/// The modules of the older runners, which may have a major version suffix.
const RUNNERS: [&str; 2] =
    ["github.com/konstellation-io/kre/runners/kre-go", "github.com/konstellation-io/kre-runners/kre-go"];
/// Our own SDK, which replaces those modules in our builds.
const OWN_SDK: &str = "github.com/konstellation-io/krt/sdk/go";

/// Texts that identify runners: the variables that each reads, or the measurements that it writes.
mod text {
    pub(super) const OWN_SDK: &[u8] = b"KRT_NODE_PROTOCOL";
    pub(super) const INPUT: &[u8] = b"KRT_NATS_INPUT";
    pub(super) const WRITER: &[u8] = b"KRT_NATS_MONGO_WRITER";
    pub(super) const STREAM: &[u8] = b"KRT_NATS_STREAM";
    pub(super) const DATABASE: &[u8] = b"KRT_MONGO_DB_NAME";
    pub(super) const ENVELOPE: &[u8] = b"KreNatsMessage";
    pub(super) const EXITPOINT: &[u8] = b"KRT_IS_EXITPOINT";
    pub(super) const ELAPSED: &[u8] = b"node_elapsed_time";
}

/// A detected runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedRunner {
    /// Its protocol.
    pub runner: OlderRunner,
    /// Its version, if known.
    pub version: Option<String>,
}

impl fmt::Display for DetectedRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kre-go")?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, " {version}"))
    }
}

/// A runner whose messages differ from KRT v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// The first runners, which sent JSON.
    Json,
    /// kre-go 3 and later, with a different kind of workflows.
    Later,
}

/// Detects an older runner in the bytes of an executable.
pub(super) fn find(bytes: &[u8]) -> Option<Result<DetectedRunner, Unsupported>> {
    let has = |text: &[u8]| memmem::find(bytes, text).is_some();
    let modules = modules::of(bytes);
    if modules.iter().any(|module| module.path == OWN_SDK) || has(text::OWN_SDK) {
        return None;
    }
    let module = modules.iter().find_map(runner);
    if module.is_none() && !(modules.is_empty() && has(text::INPUT) && has(text::WRITER)) {
        return None;
    }
    if module.is_some_and(|(_, major)| major > 2) || has(text::EXITPOINT) {
        return Some(Err(Unsupported::Later));
    }
    if has(text::DATABASE) && !has(text::ENVELOPE) {
        return Some(Err(Unsupported::Json));
    }
    let version = module.map(|(module, _)| module.version).filter(|version| version.starts_with('v'));
    let streams = version.and_then(has_streams).unwrap_or_else(|| has(text::STREAM));
    let generation = if streams { Generation::JetStream } else { Generation::Core };
    let runner = OlderRunner { generation, measures: has(text::ELAPSED) };
    Some(Ok(DetectedRunner { runner, version: version.map(str::to_owned) }))
}

/// The module of an older runner, with the major version in its path.
fn runner<'a>(module: &Module<'a>) -> Option<(Module<'a>, u32)> {
    RUNNERS.iter().find_map(|path| match module.path.strip_prefix(path)? {
        "" => Some((*module, 1)),
        rest => Some((*module, rest.strip_prefix("/v")?.parse().ok()?)),
    })
}

/// Whether a release uses JetStream; `None` where the version only names a commit, since the runners' tags do
/// not follow Go's rules.
fn has_streams(version: &str) -> Option<bool> {
    let mut numbers =
        version.strip_prefix('v')?.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next()?, numbers.next()?);
    (major > 0).then_some((major, minor) >= (2, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executable::modules::tests::executable;

    const READS: &str = "KRT_NATS_INPUTKRT_NATS_OUTPUTKRT_NATS_MONGO_WRITER";

    fn version(version: &str) -> Option<String> {
        Some(version.to_owned())
    }

    #[test]
    fn runners() {
        let (core, streams) = (Generation::Core, Generation::JetStream);
        let rows = [
            (
                "dep\tgithub.com/konstellation-io/kre/runners/kre-go\tv1.2.3\th1:x=\n",
                "",
                core,
                version("v1.2.3"),
            ),
            (
                "dep\tgithub.com/konstellation-io/kre-runners/kre-go\tv1.0.0\n=>\t./kre-go\t(devel)\t\n",
                "",
                core,
                version("v1.0.0"),
            ),
            (
                "dep\tgithub.com/konstellation-io/kre-runners/kre-go/v2\tv2.0.1\t\n",
                "",
                core,
                version("v2.0.1"),
            ),
            (
                "dep\tgithub.com/konstellation-io/kre-runners/kre-go/v2\tv2.1.0\t\n",
                "",
                streams,
                version("v2.1.0"),
            ),
            (
                "dep\tgithub.com/konstellation-io/kre-runners/kre-go/v2\tv2.10.0-rc1\t\n",
                "",
                streams,
                version("v2.10.0-rc1"),
            ),
            (
                "dep\tgithub.com/konstellation-io/kre-runners/kre-go\tv1.2.3\t\n",
                "KRT_NATS_STREAM",
                core,
                version("v1.2.3"),
            ),
            (
                "dep\tgithub.com/konstellation-io/kre-runners/kre-go\tv0.0.0-20210612125025-86990df312ef\t\n",
                "",
                core,
                version("v0.0.0-20210612125025-86990df312ef"),
            ),
            (
                "dep\tgithub.com/konstellation-io/kre-runners/kre-go\tv0.0.0-20220718125025-86990df312ef\t\n",
                "KRT_NATS_STREAM",
                streams,
                version("v0.0.0-20220718125025-86990df312ef"),
            ),
            ("dep\tgithub.com/konstellation-io/kre-runners/kre-go\t(devel)\t\n", "", core, None),
            ("", READS, core, None),
            ("", "KRT_NATS_STREAM KRT_NATS_INPUT KRT_NATS_MONGO_WRITER", streams, None),
        ];
        for (list, texts, generation, version) in rows {
            let found = find(&executable(list, texts)).unwrap().unwrap();
            let runner = OlderRunner { generation, measures: false };
            assert_eq!(found, DetectedRunner { runner, version }, "{list} {texts}");
        }
        let measures = find(&executable("", &(READS.to_owned() + "node_elapsed_time"))).unwrap().unwrap();
        assert!(measures.runner.measures);
        assert_eq!(measures.to_string(), "kre-go");
    }

    #[test]
    fn executables_without_an_older_runner() {
        let ours = "dep\tgithub.com/konstellation-io/kre-runners/kre-go\tv1.0.0\n=>\t/krt-sdk/github.com/konstellation-io/kre-runners/kre-go\t(devel)\t\ndep\tgithub.com/konstellation-io/krt/sdk/go\tv0.0.0\n";
        for (list, texts) in [
            (ours, ""),
            ("", "KRT_NODE_PROTOCOL KRT_NATS_INPUT KRT_NATS_MONGO_WRITER"),
            ("dep\tgithub.com/konstellation-io/kre-runners/kre-gopher\tv1.0.0\t\n", ""),
            ("dep\tgithub.com/konstellation-io/kre-runners/kre-go/internal\tv1.0.0\t\n", ""),
            ("mod\tetl\t(devel)\t\n", READS),
            ("", "KRT_NATS_INPUT"),
            ("", ""),
        ] {
            assert_eq!(find(&executable(list, texts)), None, "{list} {texts}");
        }
    }

    #[test]
    fn runners_of_other_generations() {
        for (list, texts, unsupported) in [
            ("dep\tgithub.com/konstellation-io/kre-runners/kre-go/v4\tv4.0.0\t\n", "", Unsupported::Later),
            ("", "KRT_NATS_INPUTS KRT_NATS_MONGO_WRITER KRT_IS_EXITPOINT", Unsupported::Later),
            (
                "dep\tgithub.com/konstellation-io/kre/runners/kre-go\tv0.0.0-2020\t\n",
                "KRT_MONGO_DB_NAME",
                Unsupported::Json,
            ),
        ] {
            assert_eq!(find(&executable(list, texts)), Some(Err(unsupported)), "{list} {texts}");
        }
    }
}
