//! TLS of clients; certificates and keys from PEM files.

use crate::error::{Context as _, Result, bail};
use hyper_rustls::ConfigBuilderExt as _;
use std::{path::Path, sync::Arc};
use tokio_rustls::rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// The trust anchors of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trusted<'a> {
    /// The authorities in a file.
    File(&'a Path),
    /// The system's authorities.
    System,
    /// None.
    None,
}

/// Configures a client's TLS, except for its client certificate.
pub(crate) fn client(trusted: Trusted<'_>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(match trusted {
        Trusted::File(path) => config.with_root_certificates(authorities(path)?),
        Trusted::System => config.with_native_roots()?,
        Trusted::None => config.with_root_certificates(RootCertStore::empty()),
    })
}

/// Loads all certificates of a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.with_context(|| format!("failed to read the certificates in `{shown}`"))?;
    if chain.is_empty() {
        bail!("`{shown}` has no certificate");
    }
    Ok(chain)
}

/// Loads the first private key of a file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .with_context(|| format!("failed to read the private key in `{}`", path.display()))
}

/// Loads the certificates of a file as trusted authorities.
fn authorities(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let unusable = || format!("`{}` has a certificate that cannot be used", path.display());
        roots.add(certificate).with_context(unusable)?;
    }
    Ok(roots)
}
