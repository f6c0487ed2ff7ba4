//! Clusters of servers with replicated streams.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    time::Duration,
};

/// One server of a cluster.
#[derive(Debug, Clone)]
pub struct NatsMember {
    /// The server's index in `routes`.
    index: usize,
    /// The address of each server for the others.
    routes: Vec<SocketAddrV4>,
}

impl NatsMember {
    /// Returns the members of a cluster, at these addresses.
    pub fn of(addresses: &[Ipv4Addr], free_port: impl Fn(Ipv4Addr) -> u16) -> Vec<Self> {
        let routes: Vec<_> =
            addresses.iter().map(|&address| SocketAddrV4::new(address, free_port(address))).collect();
        (0..routes.len()).map(|index| Self { index, routes: routes.clone() }).collect()
    }

    /// Returns a port that is free now.
    pub fn free_port(address: Ipv4Addr) -> u16 {
        TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port()
    }

    /// The cluster section of the configuration. The servers do not advertise each other to clients, so that
    /// a test decides which ones they reach.
    pub(super) fn configuration(&self, address: Ipv4Addr) -> String {
        let others = self.routes.iter().enumerate().filter(|(index, _)| *index != self.index);
        let routes: Vec<_> = others.map(|(_, route)| format!("\"nats://{route}\"")).collect();
        format!(
            "server_name: server-{}\nhttp: \"{address}:-1\"\ncluster {{ name: cluster, listen: \"{}\", routes: [{}], \
             no_advertise: true }}\n",
            self.index,
            self.routes[self.index],
            routes.join(", ")
        )
    }
}

/// The server's own reason for being unhealthy; `None` if it is healthy.
pub(super) fn unhealthy(monitor: SocketAddr) -> Option<String> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&monitor, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask().unwrap_or_else(|error| error.to_string());
    let is_well = answer.lines().next().is_some_and(|line| line.contains(" 200 "));
    (!is_well).then_some(answer)
}
