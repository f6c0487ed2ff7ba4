//! Isolation by the namespaces of Linux.

use super::Isolation;
use crate::wire::GuardMessage;
use rustix::{
    fs::{Mode, OFlags, StatVfsMountFlags, open, statvfs},
    mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change, mount_remount},
    process::{getegid, geteuid, umask},
    thread::{
        CapabilitySet, UnshareFlags, capabilities, clear_ambient_capability_set,
        configure_capability_in_ambient_set, set_capabilities, set_no_new_privs,
    },
};
use std::{
    collections::BTreeSet,
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::PermissionsExt,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

/// Folders that are private to each worker.
const PRIVATE_FOLDERS: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// A path that stays visible.
struct VisiblePath {
    path: PathBuf,
    is_folder: bool,
    is_writable: bool,
    handle: OwnedFd,
}

impl Isolation {
    /// Creates the namespaces, runs the guard as process 1 in them, and waits for its end.
    pub fn enter(&self) -> io::Result<()> {
        if let Err(error) = self.make() {
            return crate::control::send(
                &mut crate::control::control()?,
                &GuardMessage::failed("the worker cannot be isolated", &error),
            );
        }
        let mut inner = Command::new("/proc/self/exe");
        inner.arg0("krt").args(["worker", "--inner"]).arg(serde_json::to_string(self)?);
        let status = inner.env_clear().status()?;
        if !status.success() {
            let ended = GuardMessage::Ended { status: status.into_raw(), out_of_memory: false };
            crate::control::send(&mut crate::control::control()?, &ended)?;
        }
        Ok(())
    }

    fn make(&self) -> io::Result<()> {
        let (user, group) = (geteuid(), getegid());
        let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC;
        if self.user.is_none() {
            flags |= UnshareFlags::NEWUSER;
        }
        #[expect(deprecated, reason = "what is unsafe in the other one is UnshareFlags::FILES")]
        rustix::thread::unshare(flags)?;
        if self.user.is_none() {
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{0} {0} 1", user.as_raw()))?;
            fs::write("/proc/self/gid_map", format!("{0} {0} 1", group.as_raw()))?;
            keep_capabilities()?;
        }
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        // The worker's user must be able to pass the folders above a kept path.
        let usual = umask(Mode::WGRP | Mode::WOTH);
        let hidden = self.hide();
        umask(usual);
        hidden
    }

    /// Covers hidden folders, and mounts kept paths again.
    fn hide(&self) -> io::Result<()> {
        let kept = self.kept.iter().map(|path| VisiblePath::open(path, false));
        let kept = kept.chain(self.writable.iter().map(|path| VisiblePath::open(path, true)));
        let kept: Vec<_> = kept.collect::<io::Result<_>>()?;
        let private: Vec<_> = PRIVATE_FOLDERS.iter().map(PathBuf::from).chain([self.home.clone()]).collect();
        let barred = kept.iter().filter_map(|kept| barred(&kept.path));
        let hidden: BTreeSet<_> = self.hidden.iter().cloned().chain(barred).chain(private.clone()).collect();
        // Outer folders come first; inner ones have vanished once the outer is covered.
        let mut covered = Vec::new();
        for folder in hidden.into_iter().filter(|folder| folder.is_dir()) {
            cover(&folder)?;
            covered.push(folder);
        }
        // A cover over an outer folder has hidden the home.
        if !covered.contains(&self.home) && covered.iter().any(|folder| self.home.starts_with(folder)) {
            fs::create_dir_all(&self.home)?;
            cover(&self.home)?;
            covered.push(self.home.clone());
        }
        kept.iter().try_for_each(VisiblePath::put_back)?;
        for folder in &covered {
            if private.contains(folder) {
                fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))?;
            } else {
                mount_remount(folder, MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV, c"")?;
            }
        }
        Ok(())
    }

    /// Finishes the isolation as process 1: mounts its own `/proc`, and rules out new privileges.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "/proc", "proc", flags, c"hidepid=2")?;
        set_no_new_privs(true)?;
        if self.user.is_none() {
            clear_ambient_capability_set()?;
        }
        Ok(())
    }

    /// Makes the program start as the worker's user.
    pub(crate) fn give_up_rights(&self, command: &mut Command) {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
    }
}

impl VisiblePath {
    fn open(path: &PathBuf, is_writable: bool) -> io::Result<Self> {
        let handle = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { path: path.clone(), is_folder: path.is_dir(), is_writable, handle })
    }

    /// Mounts it at its old place.
    fn put_back(&self) -> io::Result<()> {
        if !self.path.exists() {
            if self.is_folder {
                fs::create_dir_all(&self.path)?;
            } else {
                self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::write(&self.path, "")?;
            }
        }
        let source = format!("/proc/self/fd/{}", self.handle.as_raw_fd());
        mount_bind_recursive(source, &self.path)?;
        // Flags that the system set must stay set.
        let flags = statvfs(&self.path)?.f_flag;
        let known = [
            (StatVfsMountFlags::NODEV, MountFlags::NODEV),
            (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
            (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
            (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
            (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
        ];
        let set = known.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, flag)| *flag);
        let mut flags = MountFlags::BIND | MountFlags::NOSUID | set.collect::<MountFlags>();
        flags.set(MountFlags::RDONLY, !self.is_writable);
        Ok(mount_remount(&self.path, flags, c"")?)
    }
}

/// The outermost folder above a path that only its owner can pass: without it in the way, the worker's user
/// can reach the path.
fn barred(path: &Path) -> Option<PathBuf> {
    let mut above: Vec<_> = path.ancestors().skip(1).collect();
    above.reverse();
    let closed = |folder: &&Path| folder.metadata().is_ok_and(|of| of.permissions().mode() & 0o001 == 0);
    above.into_iter().find(closed).map(Path::to_owned)
}

/// Mounts an empty folder over another one.
fn cover(path: &Path) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount("tmpfs", path, "tmpfs", flags, c"mode=0755")?)
}

/// Keeps the user namespace's capabilities across the guard's second start, until they are dropped.
fn keep_capabilities() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable |= CapabilitySet::SYS_ADMIN;
    set_capabilities(None, sets)?;
    Ok(configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?)
}
