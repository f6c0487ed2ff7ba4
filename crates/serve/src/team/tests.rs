//! A team for tests: nothing is ever started.

use super::*;
use krt_runtime::{
    Options, entry, flow,
    logs::{Console, Format, Level},
};
use std::{path::Path, time::Duration};

/// A team in a folder, whose versions do not start.
pub(crate) fn team(folder: &Path) -> Arc<Team> {
    let registry = Arc::new(Registry::open(folder).unwrap());
    let outside = Outside {
        prepare: Box::new(|_| Box::pin(async { Err("nothing starts in this test".to_owned()) })),
        options: Options {
            work: flow::Limits::default(),
            requests: entry::Limits { timeout: Duration::from_secs(1), message: 1 << 20 },
            drain: Duration::from_secs(1),
        },
        store: krt_store::Options::default(),
        max_package: 1 << 20,
    };
    let logs = Logs::new(Console::start(Format::Json, std::io::sink()).unwrap(), Level::Info);
    Team::new(registry, outside, logs, Arc::new(Lifeline::new().unwrap()))
}
