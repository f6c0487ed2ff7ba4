//! Certificates and keys from PEM files.

use anyhow::{Context as _, bail};
use std::path::Path;
use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// All certificates of a file; at least one.
pub(crate) fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.with_context(|| format!("failed to read the certificates in `{shown}`"))?;
    if chain.is_empty() {
        bail!("`{shown}` has no certificate");
    }
    Ok(chain)
}

/// The first private key of a file.
pub(crate) fn private_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .with_context(|| format!("failed to read the private key in `{}`", path.display()))
}

/// The certificates of a file, as authorities that are trusted.
pub(crate) fn authorities(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let unusable = || format!("`{}` has a certificate that cannot be used", path.display());
        roots.add(certificate).with_context(unusable)?;
    }
    Ok(roots)
}
