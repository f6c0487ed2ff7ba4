//! Hosts of a test: network namespaces, each with a cable to a switch that can be pulled. Where namespaces
//! cannot be created, all hosts are this machine, with a relay between each host and each server.

use crate::support::processes;
use krt_servers::Link;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    fs::File,
    net::Ipv4Addr,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::Command,
};

/// The system's folder for named namespaces.
const NAMESPACES: &str = "/run/netns";
/// The prefix of our namespaces; the id of the creating process follows.
const PREFIX: &str = "krt-e2e-";

/// The hosts.
pub(super) enum Hosts {
    /// Namespaces, by host name.
    Apart(Namespaces),
    /// This machine, with each host's relays to the servers.
    Here(Vec<(&'static str, Link)>),
}

/// Namespaces around one switch; removed on drop.
pub(super) struct Namespaces {
    names: Vec<&'static str>,
}

impl Hosts {
    /// Creates the hosts, in namespaces if possible.
    pub(super) fn make(names: &[&'static str]) -> Self {
        match Namespaces::make(names) {
            Some(namespaces) => Self::Apart(namespaces),
            None => Self::Here(Vec::new()),
        }
    }

    /// Describes the kind of hosts.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Apart(_) => "network namespaces",
            Self::Here(_) => "processes on one host",
        }
    }

    /// The address of a host.
    pub(super) fn address(&self, host: &str) -> Ipv4Addr {
        match self {
            Self::Apart(namespaces) => namespaces.address(host),
            Self::Here(_) => Ipv4Addr::LOCALHOST,
        }
    }

    /// Runs `work` on a host, in a new thread.
    pub(super) fn on<T: Send>(&self, host: &str, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let there = || {
                if let Self::Apart(namespaces) = self {
                    namespaces.enter(host);
                }
                work()
            };
            scope.spawn(there).join().expect("what is done on a host does not panic")
        })
    }

    /// A server's URL, as reachable from a host.
    pub(super) async fn server(&mut self, host: &'static str, server: &str, port: u16) -> String {
        match self {
            Self::Apart(namespaces) => format!("nats://{}:{port}", namespaces.address(server)),
            Self::Here(links) => {
                let link = Link::to(port).await;
                let url = format!("nats://127.0.0.1:{}", link.port);
                links.push((host, link));
                url
            }
        }
    }

    /// Pulls a host's cable.
    pub(super) fn cut(&self, host: &str) {
        match self {
            Self::Apart(namespaces) => namespaces.cable(host, "down"),
            Self::Here(links) => {
                links.iter().filter(|(name, _)| *name == host).for_each(|(_, link)| link.hold());
            }
        }
    }

    /// Restores a host's cable.
    pub(super) fn restore(&self, host: &str) {
        match self {
            Self::Apart(namespaces) => namespaces.cable(host, "up"),
            Self::Here(links) => {
                links.iter().filter(|(name, _)| *name == host).for_each(|(_, link)| link.restore());
            }
        }
    }
}

impl Namespaces {
    fn make(names: &[&'static str]) -> Option<Self> {
        remove_abandoned();
        // On failure, its drop removes the namespaces created so far.
        let made = Self { names: names.to_vec() };
        let switch = made.full("switch");
        let switch_is_there = ip(&["netns", "add", &switch])
            && ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"])
            && ip(&["-n", &switch, "link", "set", "switch", "up"]);
        (switch_is_there && names.iter().all(|name| made.connect(name, &switch))).then_some(made)
    }

    fn connect(&self, name: &str, switch: &str) -> bool {
        let (host, address) = (self.full(name), format!("{}/24", self.address(name)));
        ip(&["netns", "add", &host])
            && ip(&[
                "link", "add", "eth0", "netns", &host, "type", "veth", "peer", "name", name, "netns", switch,
            ])
            && ip(&["-n", switch, "link", "set", name, "master", "switch", "up"])
            && ip(&["-n", &host, "addr", "add", &address, "dev", "eth0"])
            && ip(&["-n", &host, "link", "set", "eth0", "up"])
            && ip(&["-n", &host, "link", "set", "lo", "up"])
    }

    fn full(&self, name: &str) -> String {
        format!("{PREFIX}{}-{name}", std::process::id())
    }

    fn address(&self, host: &str) -> Ipv4Addr {
        let index = self.names.iter().position(|name| *name == host).expect("the host was made");
        Ipv4Addr::new(10, 77, 0, u8::try_from(index + 1).expect("the hosts are few"))
    }

    /// Moves this thread and its children into a host's namespace.
    fn enter(&self, host: &str) {
        let file = File::open(Path::new(NAMESPACES).join(self.full(host))).expect("the host was made");
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(file.as_fd(), network).expect("the maker of a host may enter it");
    }

    fn cable(&self, host: &str, state: &str) {
        assert!(
            ip(&["-n", &self.full("switch"), "link", "set", host, state]),
            "the cable of {host} is {state}"
        );
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in self.names.iter().chain(&["switch"]) {
            ip(&["netns", "delete", &self.full(name)]);
        }
    }
}

/// Removes namespaces of killed tests.
fn remove_abandoned() {
    let Ok(entries) = std::fs::read_dir(NAMESPACES) else { return };
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<i32>().ok());
        if maker.is_some_and(|pid| !processes::lives(pid)) {
            ip(&["netns", "delete", &name]);
        }
    }
}

/// Runs `ip`; returns whether it succeeded.
fn ip(arguments: &[&str]) -> bool {
    let program =
        ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].map(PathBuf::from).into_iter().find(|path| path.exists());
    let Some(program) = program else { return false };
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
