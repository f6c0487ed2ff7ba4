//! A team for tests, which starts nothing.

use super::*;
use krt_model::log::Level;
use krt_runtime::{
    Options,
    descriptors::Descriptors,
    flow,
    gpus::Gpus,
    ingress,
    logs::{Console, Format},
};
use std::{path::Path, time::Duration};

/// A team in a folder, whose versions do not start.
pub(crate) fn team(folder: &Path) -> Arc<Team> {
    let registry = Arc::new(Registry::open(folder).unwrap());
    let launch = LaunchConfig {
        prepare: Box::new(|_| Box::pin(async { Err("nothing starts in this test".to_owned()) })),
        traces: Box::new(|_| krt_runtime::traces::Traces::default()),
        gpus: Arc::new(Gpus::none()),
        options: Options {
            max_workers: None,
            in_flight: flow::Limits::default(),
            requests: ingress::Limits { timeout: Duration::from_secs(1), message: 1 << 20 },
            drain: Duration::from_secs(1),
        },
        store: krt_store::Options::default(),
        servers: krt_remote::Servers::default(),
        nats: None,
        max_package: 1 << 20,
    };
    let logs = Logs::new(Console::start(Format::Json, std::io::sink()).unwrap(), Level::Info);
    Team::new(registry, launch, logs, Arc::new(Lifeline::new(Descriptors::inherited()).unwrap()))
}
