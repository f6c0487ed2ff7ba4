//! What this binary is: `krt --version --verbose`, and the first lines of `krt doctor`.

use crate::{exit, output};
use clap::error::ErrorKind;
use krt_runtime::node::frame::PROTOCOL;
use serde::Serialize;
use std::{
    env::consts::{ARCH, OS},
    process::ExitCode,
};

/// Prints the description instead of the version, if the command line that clap ended at `--version` asks for it.
pub(crate) fn print(ended: &clap::Error) -> Option<ExitCode> {
    let is_asked =
        ended.kind() == ErrorKind::DisplayVersion && std::env::args_os().any(|word| word == "--verbose");
    is_asked.then(|| output::print(&About::new().text()).map_or(exit::FAILURE, |()| exit::SUCCESS))
}

/// What this binary is.
#[derive(Debug, Serialize)]
pub(crate) struct About {
    version: &'static str,
    /// The commit that it was built from. `None` for a build by `cargo` alone.
    commit: Option<&'static str>,
    platform: String,
    /// The version of the protocol between the engine and workers.
    node_protocol: u32,
    /// What is in this binary and not in each.
    features: Vec<&'static str>,
}

impl About {
    /// Describes this binary.
    pub(crate) fn new() -> Self {
        let dashboard = krt_serve::dashboard::is_included().then_some("dashboard");
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("KRT_COMMIT").filter(|commit| !commit.is_empty()),
            platform: format!("{OS}-{ARCH}"),
            node_protocol: PROTOCOL,
            features: dashboard.into_iter().collect(),
        }
    }

    /// Formats the description for people.
    pub(crate) fn text(&self) -> String {
        let features = match &*self.features.join(", ") {
            "" => "none".to_owned(),
            features => features.to_owned(),
        };
        format!(
            "krt {}\ncommit: {}\nplatform: {}\nnode protocol: {}\nfeatures: {features}",
            self.version,
            self.commit.unwrap_or("unknown"),
            self.platform,
            self.node_protocol,
        )
    }
}
