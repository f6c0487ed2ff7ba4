//! An OpenID provider, from PyPI's `oidc-provider-mock`.

use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

/// Kills the provider when its standard input closes, however the test ends.
const RUN: &str = r#""$0" --port 0 --require-nonce true "$@" 2>&1 & read -r _; kill -9 $!; wait"#;

/// A provider. Stops on drop. It accepts any user name.
#[derive(Debug)]
pub struct OpenIdServer {
    child: Child,
    /// The provider's issuer URL.
    pub issuer: String,
}

impl OpenIdServer {
    /// Starts a provider with these claims of its users; returns `None` if it is not installed.
    pub fn start(test: &str, users: &[Value]) -> Option<Self> {
        let Some(program) = crate::tool("oidc-provider-mock") else {
            crate::skipped(test, "target/tools/bin/oidc-provider-mock (`make target/tools/ready`)");
            return None;
        };
        let mut child = Command::new("sh")
            .args(["-c", RUN])
            .arg(program)
            .args(users.iter().flat_map(|claims| ["--user-claims".to_owned(), claims.to_string()]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.ok().filter(|line| line.contains("running on")));
        let line = line.expect("the provider listens");
        let address = line.split_whitespace().find(|word| word.starts_with("http://"));
        // Drain further output, so that the provider does not block.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, issuer: address.unwrap().to_owned() })
    }
}

impl Drop for OpenIdServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
