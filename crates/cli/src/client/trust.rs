//! Trusted certificate authorities.

use crate::error::{Context as _, Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use tonic::transport::{Certificate, ClientTlsConfig};

/// The trusted certificate authorities.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Trust {
    /// Trust only the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
}

impl Trust {
    pub(super) fn config(&self) -> Result<ClientTlsConfig> {
        let Some(path) = &self.cacert else { return Ok(ClientTlsConfig::new().with_native_roots()) };
        Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities(path)?)))
    }
}

/// Reads the PEM file of `--cacert`.
fn authorities(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let pem =
        std::fs::read(path).with_context(|| format!("failed to read `{shown}`, which --cacert names"))?;
    let mark = b"-----BEGIN CERTIFICATE-----";
    ensure!(
        pem.windows(mark.len()).any(|window| window == mark),
        "`{shown}` holds no certificate";
        hint: "--cacert takes a PEM file"
    );
    Ok(pem)
}
