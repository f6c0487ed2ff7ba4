//! Self-signed certificates for TLS.

use rcgen::{CertifiedKey, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A self-signed certificate for this machine.
pub(crate) struct SelfSigned {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) made: CertifiedKey<KeyPair>,
}

impl SelfSigned {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it can be made and written");
        let [certificate, key] = ["pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
        fs::write(&certificate, made.cert.pem()).expect("it can be made and written");
        fs::write(&key, made.signing_key.serialize_pem()).expect("it can be made and written");
        Self { certificate, key, made }
    }
}
