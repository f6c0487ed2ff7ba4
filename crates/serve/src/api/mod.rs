//! HTTP and JSON over a house, and live events: what `openapi.json` says.
//!
//! - [`routes`]: every path, with who may use it.
//! - `listen`: the port; [`origin`](Origin): by which other name it is reached.
//! - [`bounds`]: heads and bodies that are too large.
//! - [`who`]: who asks; `guard`: whether they may; `cookie`: what browsers keep.
//! - [`refusal`]: the one place where errors become answers.
//! - [`read`]: bodies and queries; `told`: answers.
//! - one file a noun: `session`, `openid`, `users`, `audit`, `runtimes`, `versions`, `config`, `graph`, `logs`,
//!   `requests`, `measurements`, `boards`, `predictions`, `docs`, `calls`, `events`, `page`.

mod audit;
mod boards;
mod bounds;
mod calls;
mod config;
mod cookie;
mod docs;
mod events;
mod graph;
mod guard;
mod listen;
mod logs;
mod measurements;
mod openid;
mod origin;
mod page;
mod predictions;
mod read;
mod refusal;
mod requests;
mod routes;
mod runtimes;
mod session;
mod told;
mod users;
mod versions;
mod who;

pub use guard::{Access, is_loopback};
pub use listen::run;
pub use origin::Origin;
pub use routes::router;

use crate::{House, Team, openid::Provider};
use krt_registry::attempts::Attempts;
use refusal::Refusal;
use std::{net::IpAddr, sync::Arc};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How many passwords are hashed at a time: each takes 19 MiB.
const HASHES: usize = 2;

/// All that the handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    house: House,
    access: Access,
    public: Public,
    /// Where users may sign in, too.
    openid: Option<Provider>,
    /// Failed attempts to sign in, by address and by login.
    addresses: Attempts<IpAddr>,
    logins: Attempts<String>,
    hashes: Semaphore,
    ended: CancellationToken,
}

/// Where clients call published versions.
#[derive(Debug, Clone)]
pub struct Public {
    /// Host and port.
    pub address: String,
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// The largest message, bytes.
    pub max_message: usize,
    /// Where browsers reach the dashboard, if not by its own address.
    pub dashboard: Option<Origin>,
}

impl App {
    /// An API over a house, and the provider where its users may sign in, too. Live events end with `ended`.
    pub fn new(
        house: House,
        access: Access,
        public: Public,
        openid: Option<Provider>,
        ended: CancellationToken,
    ) -> Self {
        Self(Arc::new(Shared {
            house,
            access,
            public,
            openid,
            addresses: Attempts::default(),
            logins: Attempts::default(),
            hashes: Semaphore::new(HASHES),
            ended,
        }))
    }

    fn house(&self) -> &House {
        &self.0.house
    }

    /// The team, which may be changed; one package alone may not.
    fn team(&self) -> Result<&Arc<Team>, Refusal> {
        match &self.0.house {
            House::Team(team) => Ok(team),
            House::Solo(_) => Err(Refusal::read_only()),
        }
    }
}
