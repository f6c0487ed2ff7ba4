//! Exports traces to an OTLP receiver, configured by the standard `OTEL_*` variables.
//!
//! - [`reason`]: the reason an HTTP request failed.
//! - [`settings`]: the variables.
//!
//! Invalid settings are logged, and never stop a service.

mod reason;
mod settings;

use crate::{
    error::{Context as _, Hint as _, Result},
    tls::{self, Trusted},
};
use hyper_rustls::HttpsConnectorBuilder;
use krt_model::{hint, name::Name};
use krt_runtime::traces::Traces;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    SpanExporter, WithHttpConfig as _, WithTonicConfig as _,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use reason::{ExplainingExporter, Reason, RecordingClient};
use settings::{Files, Protocol, Settings, Variables};
use std::{fs, path::Path, time::Duration};
use tokio_rustls::rustls::ClientConfig;

/// How long the export of remaining spans may take when the service stops.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the export of a version's traces. Must be called within the async runtime.
pub(crate) fn start(version: &Name) -> Traces {
    let mut variables = Variables::new(|name: &str| std::env::var(name).ok());
    let settings = variables.settings();
    for unclear in &variables.unclear {
        tracing::warn!("{}", hint::line(unclear));
    }
    let Some(settings) = settings else { return Traces::default() };
    match exporter(&settings, version) {
        Ok(exporter) => {
            tracing::info!("traces are exported by {}", settings.protocol);
            Traces::start(exporter, settings.options(), version)
        }
        Err(error) => {
            tracing::warn!("traces are not exported: {}", error.line());
            Traces::default()
        }
    }
}

fn exporter(settings: &Settings, version: &Name) -> Result<ExplainingExporter<SpanExporter>> {
    let reason = Reason::default();
    let exporter = match settings.protocol {
        Protocol::Grpc => by_grpc(&settings.files),
        Protocol::Http => by_http(&settings.files, settings.timeout, reason.clone()),
    }?;
    let mut exporter = ExplainingExporter { exporter, reason };
    exporter.set_resource(&resource(settings, version));
    Ok(exporter)
}

fn by_grpc(files: &Files) -> Result<SpanExporter> {
    // The exporter's own error says little about a problem with a file.
    if *files != Files::default() {
        tls(files)?;
    }
    let trust = match &files.authorities {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    let trust = match &files.identity {
        Some((certificate, key)) => trust.identity(Identity::from_pem(read(certificate)?, read(key)?)),
        None => trust,
    };
    // The error may contain the endpoint, and with it a password.
    let built = SpanExporter::builder().with_tonic().with_tls_config(trust).build();
    built.ok().context("the endpoint is not understood").hint("http://HOST:4317")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))
}

fn by_http(files: &Files, timeout: Duration, reason: Reason) -> Result<SpanExporter> {
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls(files)?).https_or_http().enable_http1();
    let client = RecordingClient { client: HyperClient::new(connector.build(), timeout, None), reason };
    let built = SpanExporter::builder().with_http().with_http_client(client).build();
    built.ok().context("the endpoint is not understood").hint("http://HOST:4318")
}

fn tls(files: &Files) -> Result<ClientConfig> {
    let config = match &files.authorities {
        Some(path) => tls::client(Trusted::File(path))?,
        None => {
            tls::client(Trusted::System).context("failed to read the certificates that the system trusts")?
        }
    };
    Ok(match &files.identity {
        Some((certificate, key)) => config
            .with_client_auth_cert(tls::certificates(certificate)?, tls::private_key(key)?)
            .context("the certificate and its key do not go together")?,
        None => config.with_no_client_auth(),
    })
}

/// The resource of the spans, from the variables or else from the version.
fn resource(settings: &Settings, version: &Name) -> Resource {
    let resource = Resource::builder();
    if settings.named { resource } else { resource.with_service_name(version.to_string()) }.build()
}
