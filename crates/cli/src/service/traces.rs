//! Where traces go: to a receiver of OTLP, as the standard `OTEL_*` variables say.
//!
//! - [`settings`]: what the variables say.
//!
//! What is wrong with them is told and never stops a service.

mod settings;

use crate::tls::{self, Trusted};
use anyhow::Context as _;
use hyper_rustls::HttpsConnectorBuilder;
use krt_model::name::Name;
use krt_runtime::traces::Traces;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    SpanExporter, WithHttpConfig as _, WithTonicConfig as _,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use settings::{Files, Protocol, Settings, Variables};
use std::{fs, path::Path, time::Duration};
use tokio_rustls::rustls::ClientConfig;

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
        Protocol::Grpc => by_grpc(&settings.files),
        Protocol::Http => by_http(&settings.files, settings.timeout),
    }?;
    exporter.set_resource(&resource(settings, version));
    Ok(exporter)
}

fn by_grpc(files: &Files) -> anyhow::Result<SpanExporter> {
    // It says little of what is wrong with a file.
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
    // Its error may show the endpoint, and with it a password.
    let built = SpanExporter::builder().with_tonic().with_tls_config(trust).build();
    built.ok().context("the endpoint is not understood; hint: http://HOST:4317")
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))
}

fn by_http(files: &Files, timeout: Duration) -> anyhow::Result<SpanExporter> {
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls(files)?).https_or_http().enable_http1();
    let client = HyperClient::new(connector.build(), timeout, None);
    let built = SpanExporter::builder().with_http().with_http_client(client).build();
    built.ok().context("the endpoint is not understood; hint: http://HOST:4318")
}

fn tls(files: &Files) -> anyhow::Result<ClientConfig> {
    let config = match &files.authorities {
        Some(path) => tls::client(Trusted::Those(path))?,
        None => {
            tls::client(Trusted::Systems).context("failed to read the certificates that the system trusts")?
        }
    };
    Ok(match &files.identity {
        Some((certificate, key)) => config
            .with_client_auth_cert(tls::certificates(certificate)?, tls::private_key(key)?)
            .context("the certificate and its key do not go together")?,
        None => config.with_no_client_auth(),
    })
}

/// What the spans are of: the variables say it, else the version.
fn resource(settings: &Settings, version: &Name) -> Resource {
    let resource = Resource::builder();
    if settings.named { resource } else { resource.with_service_name(version.to_string()) }.build()
}
