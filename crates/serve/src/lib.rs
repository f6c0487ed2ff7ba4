//! A team's server: many versions at work, and the API for its dashboard.
//!
//! - [`team`]: runtimes and versions at work: what the registry says should run, runs.
//! - [`solo`]: one package, as `krt run` has it.
//! - [`house`]: either of them, as the API sees it.
//! - [`api`]: HTTP and JSON over a house, and live events.
//! - [`openid`]: signing in at an OpenID provider.
//! - [`openapi`]: the API's contract.
//! - [`dashboard`]: the built files of the dashboard.
//! - [`scores`]: how good predictions are.
//! - [`docs`]: a package's documentation, safe to show.
//! - [`schema`]: messages, described for forms.
//! - [`blocking`]: what must not hold up the server.
//!
//! How nodes' environments are made is the command's business: it comes as a function.

pub mod api;
pub mod blocking;
pub mod dashboard;
pub mod docs;
pub mod house;
pub mod openapi;
pub mod openid;
pub mod schema;
pub mod scores;
pub mod solo;
pub mod team;

pub use house::House;
pub use solo::Solo;
pub use team::Team;
