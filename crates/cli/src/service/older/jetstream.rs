//! Runs a NATS server with JetStream: an installed `nats-server`.

use crate::error::{Context as _, Result, bail};
use krt_broker::{Connection, connection::Options};
use krt_model::address::Address;
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, Command},
    time::timeout,
};

/// Debian's location, which is only on the superuser's `PATH`.
const DEBIAN_FOLDER: &str = "/usr/sbin";
/// How long the server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the server may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running server. It stops on drop.
pub(super) struct JetStream {
    child: Child,
    url: Address,
    /// The guard stops the server when this pipe closes.
    lifeline: Option<ChildStdin>,
    /// The server's configuration, with a token, and its streams.
    _folder: TempDir,
}

impl JetStream {
    /// Starts a server on a free port of the loopback, with its data below `data`.
    pub(super) async fn start(data: &Path, max_payload: usize) -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let Some(program) = program(&path, &[Path::new(DEBIAN_FOLDER)]) else {
            bail!(
                "found no `nats-server`, which executables of kre-go 2.1 need for JetStream";
                hint: "install it (https://nats.io, Debian's package `nats-server`), or name a server with --nats"
            );
        };
        let folder = folder(data).context("cannot make a folder for a NATS server")?;
        let token = uuid::Uuid::new_v4().simple().to_string();
        let configuration = folder.path().join("nats.conf");
        fs::write(&configuration, configure(&token, folder.path(), max_payload))
            .with_context(|| format!("cannot write `{}`", configuration.display()))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("guard")
            .args([&program, Path::new("--config"), &configuration])
            // Other processes of the same user can read a server's environment.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Not killed on drop: that would kill the guard and leave the server running.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.display()))?;
        let lifeline = child.stdin.take();
        let stderr = child.stderr.take().context("the server's output is not there")?;
        let port =
            timeout(START_TIMEOUT, port(BufReader::new(stderr).lines())).await.with_context(|| {
                format!("`{}` does not start within {} s", program.display(), START_TIMEOUT.as_secs())
            })??;
        let url = Address::from(&*format!("nats://{token}@127.0.0.1:{port}"));
        tracing::debug!("started `{}` on port {port}", program.display());
        Ok(Self { child, url, lifeline, _folder: folder })
    }

    /// The address for clients, with the token.
    pub(super) fn url(&self) -> &Address {
        &self.url
    }

    /// Connects the engine.
    pub(super) async fn connect(&self, name: String) -> Result<Connection> {
        let servers = self.url.clone();
        let options = Options { servers, name, credentials: None, nkey: None, ca: None, certificate: None };
        Ok(Connection::open(&options).await?)
    }

    /// Stops the server.
    pub(super) async fn stop(mut self) {
        drop(self.lifeline.take());
        let _ = timeout(STOP_TIMEOUT, self.child.wait()).await;
    }
}

/// The server's program, if installed: on `path`, or in one of the folders `elsewhere`.
fn program(path: &OsStr, elsewhere: &[&Path]) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).chain(elsewhere.iter().map(PathBuf::from));
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    };
    folders.map(|folder| folder.join("nats-server")).find(runs)
}

/// Creates a folder that only this user can read. Removes the remains of an earlier, killed server, since
/// servers do not share `data`.
fn folder(data: &Path) -> io::Result<TempDir> {
    let parent = data.join("nats");
    match fs::remove_dir_all(&parent) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(&parent)?,
    }
    tempfile::Builder::new().prefix("server-").tempdir_in(fs::canonicalize(parent)?)
}

fn configure(token: &str, folder: &Path, max_payload: usize) -> String {
    let streams = folder.join("streams");
    format!(
        "listen: \"127.0.0.1:-1\"\n\
         authorization {{ token: {token:?} }}\n\
         jetstream {{ store_dir: {streams:?} }}\n\
         max_payload: {max_payload}\n\
         max_pending: {}\n",
        max_payload.saturating_mul(2).max(64 << 20)
    )
}

/// Returns the port from the server's log once the server is ready; ignores other lines.
async fn port(mut lines: Lines<BufReader<ChildStderr>>) -> Result<u16> {
    let (mut port, mut last) = (None, String::new());
    while let Some(line) = lines.next_line().await? {
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port = address.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok());
        }
        if line.ends_with("Server is ready") {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return port.context("the NATS server does not say where it listens");
        }
        last = line;
    }
    bail!("the NATS server does not start: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_searched_on_the_path_and_elsewhere() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = first.path().as_os_str();
        assert_eq!(program(path, &[second.path()]), None);
        let put = |folder: &TempDir, mode| {
            let place = folder.path().join("nats-server");
            fs::write(&place, "").unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
            place
        };
        let elsewhere = put(&second, 0o755);
        put(&first, 0o644);
        assert_eq!(program(path, &[second.path()]), Some(elsewhere));
        let on_path = put(&first, 0o755);
        assert_eq!(program(path, &[second.path()]), Some(on_path));
    }

    #[test]
    fn files_of_killed_servers_are_removed() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir_all(data.path().join("nats/server-old/streams")).unwrap();
        let made = folder(data.path()).unwrap();
        assert!(made.path().is_dir() && !data.path().join("nats/server-old").exists());
    }
}
