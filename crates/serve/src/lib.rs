//! A team's server: many versions at work, and the API for its dashboard.
//!
//! - [`team`]: keeps the runtimes and versions running that the registry says should run.
//! - [`solo`]: a single package, as in `krt run`.
//! - [`backend`]: either of them, as the API sees it.
//! - [`api`]: HTTP and JSON over a backend, and live events.
//! - [`openid`]: signing in at an OpenID provider.
//! - [`openapi`]: the API's contract.
//! - [`dashboard`]: the built files of the dashboard.
//! - [`scores`]: scores of predictions.
//! - [`docs`]: a package's documentation as safe HTML.
//! - [`schema`]: descriptions of messages, for forms.
//! - [`blocking`]: work on blocking threads.
//!
//! The command builds nodes' environments and passes that in as a function.

pub mod api;
pub mod backend;
pub mod blocking;
pub mod dashboard;
pub mod docs;
mod error;
mod openapi;
pub mod openid;
pub mod schema;
pub mod scores;
pub mod solo;
pub mod team;

pub use backend::Backend;
pub use error::Error;
pub use solo::Solo;
pub use team::Team;
