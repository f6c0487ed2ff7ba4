//! The flags for running a package.

use super::configuration::Configuration;
use crate::{
    error::Result,
    terminal,
    values::{duration, message_size, size},
};
use clap::{Args, ValueEnum};
use krt_environment::PythonChoice;
use krt_model::log::Level;
use krt_runtime::{
    Options, flow,
    gpus::{Choice, Gpus},
    ingress,
    logs::{Console, EngineLayer, Format, Logs},
};
use std::{env, sync::Arc, time::Duration};
use tracing_subscriber::layer::SubscriberExt as _;

/// The arguments for running a package.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServiceArgs {
    #[command(flatten)]
    pub(super) configuration: Configuration,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// The limits of every version, and its logs.
#[derive(Debug, Clone, Args)]
pub(crate) struct EngineArgs {
    /// The Python for nodes: a path, a command, or a version such as 3.12
    #[arg(long, value_name = "PYTHON", env = "KRT_PYTHON", help_heading = "Nodes")]
    pub(crate) python: Option<PythonChoice>,

    /// The GPUs for nodes with `gpu`: indices or identifiers such as 0,1 or GPU-5c1e…, all or none [default: those in
    /// CUDA_VISIBLE_DEVICES, or all]
    #[arg(long, value_name = "GPUS", env = "KRT_GPUS", help_heading = "Nodes")]
    gpus: Option<Choice>,

    /// Most workers of a version, for nodes whose `replicas` follow the load [default: as many as `replicas` allow]
    #[arg(long, value_name = "N", env = "KRT_MAX_WORKERS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Nodes")]
    max_workers: Option<u32>,

    /// Longest time to wait for an answer; a client may set a shorter deadline
    #[arg(long, value_name = "DURATION", default_value = "30s", env = "KRT_REQUEST_TIMEOUT", value_parser = duration, help_heading = "Limits")]
    request_timeout: Duration,

    /// Largest request or answer, such as 512KiB or 16MiB
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = message_size, help_heading = "Limits")]
    max_message: usize,

    /// Most requests in flight; further requests are refused
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    max_requests: u32,

    /// Most memory for requests and their answers; further requests are refused
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size, help_heading = "Limits")]
    max_bytes: usize,

    /// Time that requests in flight have to finish when the service stops
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, help_heading = "Limits")]
    drain: Duration,

    /// Days to keep measurements, logs and request records
    #[arg(long, value_name = "DAYS", default_value = "7", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Data")]
    keep_days: u32,

    /// Most disk space for measurements, logs and request records
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size, help_heading = "Data")]
    keep_size: usize,

    /// Format of log records on standard error
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "KRT_LOG_FORMAT",
        help_heading = "Logs"
    )]
    log_format: LogFormat,

    /// Lowest level to log
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "LEVEL",
        env = "KRT_LOG_LEVEL",
        help_heading = "Logs"
    )]
    pub(crate) log_level: LogLevel,
}

/// The format of log records.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    /// Pretty on a terminal, JSON lines otherwise.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// The lowest level to log.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum LogLevel {
    /// Everything.
    Debug,
    /// Normal operation.
    #[default]
    Info,
    /// Things that may need attention.
    Warn,
    /// Failures.
    Error,
}

impl EngineArgs {
    /// Initializes logging.
    pub(crate) fn logs(&self) -> Result<Logs> {
        let pretty = Format::Pretty { colour: terminal::colour() };
        let format = match self.log_format {
            LogFormat::Pretty => pretty,
            LogFormat::Auto if terminal::is_terminal() => pretty,
            LogFormat::Auto | LogFormat::Json => Format::Json,
        };
        let level = match self.log_level {
            LogLevel::Debug => Level::Debug,
            LogLevel::Info => Level::Info,
            LogLevel::Warn => Level::Warn,
            LogLevel::Error => Level::Error,
        };
        let logs = Logs::new(Console::start(format, terminal::for_records())?, level);
        let engine = tracing_subscriber::registry().with(EngineLayer::new(logs.clone()));
        tracing::subscriber::set_global_default(engine)?;
        Ok(logs)
    }

    /// Finds the GPUs for nodes.
    pub(crate) fn gpus(&self) -> Result<Arc<Gpus>> {
        let visible = env::var("CUDA_VISIBLE_DEVICES").ok();
        Ok(Arc::new(Gpus::find(self.gpus.as_ref(), visible.as_deref())?))
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            in_flight: flow::Limits { requests: self.max_requests as usize, bytes: self.max_bytes },
            requests: ingress::Limits { timeout: self.request_timeout, message: self.max_message },
            drain: self.drain,
            max_workers: self.max_workers.map(|workers| workers as usize),
        }
    }

    pub(crate) fn store_options(&self) -> krt_store::Options {
        let age = Duration::from_secs(u64::from(self.keep_days) * 24 * 3600);
        let retention = krt_store::Retention {
            age: Some(age),
            size: Some(self.keep_size as u64),
            ..krt_store::Retention::default()
        };
        krt_store::Options { retention, ..krt_store::Options::default() }
    }
}
