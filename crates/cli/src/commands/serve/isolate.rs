//! `krt serve --isolate`: isolates versions.

use crate::{
    cache,
    error::{Context as _, Result, bail, ensure},
};
use clap::Args;
use krt_guard::Isolation;
use krt_runtime::node::{Lifeline, run_isolated};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The number of user ids: each running version has one.
const USERS: u32 = 4096;

/// The arguments for isolation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Isolation")]
pub(super) struct IsolateArgs {
    /// Isolate versions from the server's files, and from each other's files and processes
    ///
    /// Each version runs as a user of its own if the server runs as root, and in a user namespace otherwise. The
    /// server refuses to start if neither is possible.
    #[arg(long)]
    isolate: bool,

    /// First of the 4096 user ids for versions, if the server runs as root
    #[arg(long, value_name = "UID", default_value_t = 200_000, requires = "isolate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1_000..=u32::MAX as i64 - 8192))]
    isolate_users: u32,
}

/// Creates the isolation of each version.
#[derive(Debug, Clone)]
pub(super) struct Isolator {
    base: Isolation,
    users: Option<Users>,
    lifeline: Arc<Lifeline>,
}

/// A pool of user ids for versions.
#[derive(Debug, Clone)]
struct Users {
    first: u32,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

/// The user id of one version. Returns to the pool on drop.
#[derive(Debug)]
pub(super) struct UserLease {
    users: Option<Users>,
    user: Option<u32>,
}

impl IsolateArgs {
    /// Creates the isolator, if isolation is enabled. Fails if this system cannot isolate.
    pub(super) async fn isolator(&self, data: &Path, lifeline: &Arc<Lifeline>) -> Result<Option<Isolator>> {
        if !self.isolate {
            return Ok(None);
        }
        ensure!(
            krt_guard::isolate::IS_SUPPORTED,
            "--isolate needs namespaces, which only Linux has";
            hint: "run the server in a virtual machine with Linux"
        );
        let home = std::env::var_os("HOME").map(PathBuf::from).and_then(|home| home.canonicalize().ok());
        let home = home.filter(|home| home.parent().is_some()).unwrap_or_else(|| PathBuf::from("/tmp"));
        let hidden = [Some(data.to_owned()), cache::folder().ok()].into_iter().flatten();
        let hidden = hidden.filter_map(|folder| folder.canonicalize().ok()).collect();
        let is_root = rustix::process::geteuid().is_root();
        let users = is_root.then(|| Users { first: self.isolate_users, taken: Arc::default() });
        let base = Isolation { user: None, hidden, kept: Vec::new(), writable: Vec::new(), home };
        let isolator = Isolator { base, users, lifeline: Arc::clone(lifeline) };
        let (isolation, _leased) = isolator.lease()?;
        // A command that does nothing.
        let tried = run_isolated(vec!["--version".into()], Vec::new(), isolation, lifeline, &|_| {});
        if let Err(error) = tried.await {
            let hint = if is_root {
                "root needs the capabilities SYS_ADMIN, SETUID and SETGID, and --isolate-users a range of ids that \
                 exists here (in a container: `--cap-add SYS_ADMIN --security-opt seccomp=unconfined \
                 --security-opt systempaths=unconfined`)"
            } else {
                "this user needs user namespaces (`sysctl user.max_user_namespaces`, on Ubuntu \
                 `kernel.apparmor_restrict_unprivileged_userns=0`), or start the server as root"
            };
            bail!("versions cannot be isolated here: {error}"; hint: "{hint}");
        }
        Ok(Some(isolator))
    }
}

impl Isolator {
    /// The lifeline of all processes.
    pub(super) fn lifeline(&self) -> &Lifeline {
        &self.lifeline
    }

    /// The isolation of one version, with a user id that no other version has.
    pub(super) fn lease(&self) -> Result<(Isolation, UserLease)> {
        let user = self.users.as_ref().map(Users::take).transpose()?;
        let isolation = Isolation { user, ..self.base.clone() };
        Ok((isolation, UserLease { users: self.users.clone(), user }))
    }
}

impl Users {
    fn take(&self) -> Result<u32> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (self.first..self.first + USERS).find(|user| !taken.contains(user));
        let free = free.context("every user that versions can run as is taken")?;
        taken.insert(free);
        Ok(free)
    }
}

impl Drop for UserLease {
    fn drop(&mut self) {
        if let (Some(users), Some(user)) = (&self.users, self.user) {
            users.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&user);
        }
    }
}
