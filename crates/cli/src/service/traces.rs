//! Where traces go: to a receiver of OTLP, as the standard `OTEL_*` variables say.
//!
//! - [`settings`]: what the variables say.
//!
//! What is wrong with them is told and never stops a service.

mod settings;

use anyhow::Context as _;
use krt_model::name::Name;
use krt_runtime::traces::Traces;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    SpanExporter, WithHttpConfig as _, WithTonicConfig as _, tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use settings::{Protocol, Settings, Variables};
use std::time::Duration;

/// How long spans may take to leave when the service stops.
pub(super) const FLUSH: Duration = Duration::from_secs(5);

/// Where traces of a version go. Must be called within the runtime.
pub(crate) fn start(version: &Name) -> Traces {
    let mut variables = Variables::new(|name: &str| std::env::var(name).ok());
    let settings = variables.settings();
    for unclear in &variables.unclear {
        tracing::warn!("{unclear}");
    }
    let Some(settings) = settings else { return Traces::default() };
    match exporter(&settings, version) {
        Ok(exporter) => {
            tracing::info!("traces are exported by {}", settings.protocol);
            Traces::start(exporter, settings.options(), version)
        }
        Err(error) => {
            tracing::warn!("traces are not exported: {}", crate::terminal::chain(&error));
            Traces::default()
        }
    }
}

fn exporter(settings: &Settings, version: &Name) -> anyhow::Result<SpanExporter> {
    let mut exporter = match settings.protocol {
        Protocol::Grpc => by_grpc(),
        Protocol::Http => by_http(settings.timeout),
    }?;
    exporter.set_resource(&resource(settings, version));
    Ok(exporter)
}

fn by_grpc() -> anyhow::Result<SpanExporter> {
    let trust = ClientTlsConfig::new().with_enabled_roots();
    // Its error may show the endpoint, and with it a password.
    let built = SpanExporter::builder().with_tonic().with_tls_config(trust).build();
    built.ok().context("the endpoint is not understood; hint: http://HOST:4317")
}

fn by_http(timeout: Duration) -> anyhow::Result<SpanExporter> {
    let client = HyperClient::new(krt_remote::https()?, timeout, None);
    let built = SpanExporter::builder().with_http().with_http_client(client).build();
    built.ok().context("the endpoint is not understood; hint: http://HOST:4318")
}

/// What the spans are of: the variables say it, else the version.
fn resource(settings: &Settings, version: &Name) -> Resource {
    let resource = Resource::builder();
    if settings.named { resource } else { resource.with_service_name(version.to_string()) }.build()
}
