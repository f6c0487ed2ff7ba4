//! TLS of ports. A renewed certificate is reloaded without a restart.

use crate::{
    error::{Context as _, Result},
    tls,
};
use clap::Args;
use krt_runtime::ingress::listener::Tls;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The ALPN protocols, in order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The minimum interval between checks of the files.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The arguments for TLS on the client port.
#[derive(Debug, Clone, Args)]
pub(crate) struct TlsArgs {
    /// PEM file with the certificate chain to serve TLS with; reloaded when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "KRT_TLS_CERT", help_heading = "TLS")]
    tls_cert: Option<PathBuf>,

    /// PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "KRT_TLS_KEY", help_heading = "TLS")]
    tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Whether TLS is enabled.
    pub(crate) fn is_set(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Reads the files.
    pub(crate) fn load(&self) -> Result<Tls> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Files::open(certificate, key)?));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Some(Arc::new(config)))
    }
}

/// A certificate and its key; reloaded when their files change.
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    read: Mutex<LoadedKey>,
}

/// The result of the last read.
#[derive(Debug)]
struct LoadedKey {
    key: Arc<CertifiedKey>,
    changed: ModifiedTimes,
    checked_at: Instant,
}

/// The modification times of both files.
type ModifiedTimes = [Option<SystemTime>; 2];

impl Files {
    fn open(certificate: &Path, key: &Path) -> Result<Self> {
        let changed = changed(certificate, key);
        let read = LoadedKey { key: Arc::new(load(certificate, key)?), changed, checked_at: Instant::now() };
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), read: Mutex::new(read) })
    }

    /// The current certificate; the previous one while the files are invalid.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.checked_at.elapsed() >= CHECK_INTERVAL {
            read.checked_at = Instant::now();
            let changed = changed(&self.certificate, &self.key);
            if changed != read.changed {
                read.changed = changed;
                match load(&self.certificate, &self.key) {
                    Ok(key) => {
                        tracing::info!("the certificate in `{}` was read again", self.certificate.display());
                        read.key = Arc::new(key);
                    }
                    Err(error) => {
                        tracing::warn!("the certificate before stays in use: {}", error.line());
                    }
                }
            }
        }
        Arc::clone(&read.key)
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let (chain, key) = (tls::certificates(certificate)?, tls::private_key(key)?);
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .context("the certificate and its key do not go together")
}

fn changed(certificate: &Path, key: &Path) -> ModifiedTimes {
    [certificate, key].map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
}
