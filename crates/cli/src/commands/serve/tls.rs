//! How the ports speak TLS.

use crate::tls;
use anyhow::Context as _;
use clap::Args;
use krt_runtime::entry::listen::Tls;
use std::{path::PathBuf, sync::Arc};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

/// What is spoken, in order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS for every port.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// The certificate of both ports, with those that it was signed by: PEM
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "KRT_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// Its private key: PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "KRT_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// Let other machines in without TLS: only behind a proxy that speaks it
    #[arg(long)]
    insecure: bool,
}

impl TlsArgs {
    /// Whether TLS is spoken.
    pub(super) fn is_set(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Whether it need not be.
    pub(super) fn is_waived(&self) -> bool {
        self.insecure
    }

    /// Reads the files.
    pub(super) fn load(&self) -> anyhow::Result<Tls> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(tls::certificates(certificate)?, tls::private_key(key)?)
            .context("the certificate and its key do not go together")?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Some(Arc::new(config)))
    }
}
