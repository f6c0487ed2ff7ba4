//! HTTP and JSON over a backend, and live events, as described in `openapi.json`.
//!
//! - [`routes`]: every path, with the role it requires.
//! - `listen`: the listener; [`origin`](Origin): the public address.
//! - [`bounds`]: limits of heads and bodies.
//! - [`browsers`]: refuses requests from pages of other sites.
//! - [`caller`]: the caller; `guard`: its authorization; `limits`: attempts to sign in; `cookie`: cookies.
//! - [`refusal`]: the one place that turns errors into answers.
//! - [`read`]: bodies and queries; `response`: answers; `wire`: rows of the registry as `krt_api` has them.
//! - One file per noun: `session`, `openid`, `users`, `audit`, `runtimes`, `stores`, `versions`, `config`,
//!   `graph`, `logs`, `requests`, `measurements`, `boards`, `predictions`, `docs`, `calls`, `events`, `page`.

mod audit;
mod boards;
mod bounds;
mod browsers;
mod caller;
mod calls;
mod config;
mod cookie;
mod docs;
mod events;
mod graph;
mod guard;
mod json;
mod limits;
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
mod response;
mod routes;
mod runtimes;
mod session;
mod stores;
mod users;
mod versions;
mod wire;

pub use listen::run;
pub use origin::Origin;
pub use routes::router;

use crate::{Backend, Team, openid::Provider};
use ipnet::IpNet;
use krt_runtime::{ingress::browsers::Hosts, memory::Pool};
use limits::Limits;
use refusal::Refusal;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The memory of all JSON bodies being read, in bytes: of signed-in callers, and of all others, who cannot
/// fill the former's share.
const BODIES: usize = 24 << 20;
const SMALL_BODIES: usize = 8 << 20;

/// The shared state of the handlers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Backend,
    /// The host names that the listener accepts.
    hosts: Hosts,
    public: Public,
    /// Where users may sign in, too.
    openid: Option<Arc<Provider>>,
    limits: Limits,
    /// The memory of bodies being read.
    bodies: Arc<Pool>,
    small_bodies: Arc<Pool>,
    ended: CancellationToken,
}

/// The public addresses.
#[derive(Debug, Clone)]
pub struct Public {
    /// Host and port of the ingress.
    pub address: String,
    /// Whether the ingress speaks TLS.
    pub tls: bool,
    /// The largest message, in bytes.
    pub max_message: usize,
    /// Where browsers reach the dashboard, if not at the listener's own address.
    pub dashboard: Option<Origin>,
    /// The trusted proxies, whose `X-Forwarded-For` counts.
    pub proxies: Vec<IpNet>,
}

impl App {
    /// An API over a backend, with an optional OpenID provider. `ended` ends live events.
    pub fn new(
        backend: Backend,
        hosts: Hosts,
        public: Public,
        openid: Option<Arc<Provider>>,
        ended: CancellationToken,
    ) -> Self {
        Self(Arc::new(Shared {
            backend,
            hosts,
            public,
            openid,
            limits: Limits::new(),
            bodies: Pool::new(BODIES),
            small_bodies: Pool::new(SMALL_BODIES),
            ended,
        }))
    }

    fn bodies(&self) -> &Arc<Pool> {
        &self.0.bodies
    }

    fn small_bodies(&self) -> &Arc<Pool> {
        &self.0.small_bodies
    }

    fn backend(&self) -> &Backend {
        &self.0.backend
    }

    /// The team; fails where the server runs a single package, which cannot be changed.
    fn team(&self) -> Result<&Arc<Team>, Refusal> {
        match &self.0.backend {
            Backend::Team(team) => Ok(team),
            Backend::Solo(_) => Err(Refusal::read_only()),
        }
    }
}
