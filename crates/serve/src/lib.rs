//! A team's server: many versions at work, and the API for its dashboard.
//!
//! - [`openapi`]: the API's contract.

pub mod openapi;
