//! Requests that a team's server refuses: in a uniform format, with a reason, and without side effects.
//!
//! - [`uploads`]: invalid packages.
//! - [`users`]: roles, tokens, sessions.
//! - [`requests`]: requests that are too large, or not of the API.

mod requests;
mod uploads;
mod users;

use crate::support::{http::Reply, team::Team};
use http::StatusCode;
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

/// Asserts a refusal in the API's format; returns the message.
#[track_caller]
fn refused(reply: &Reply, status: StatusCode, code: &str) -> String {
    let error = reply.expect(status);
    assert_eq!(reply.header("content-type"), "application/json", "{reply:?}");
    assert_eq!(error["code"], code, "{error}");
    let known = ["code", "message", "hint", "problems"];
    let names = error.as_object().unwrap().keys();
    assert!(names.clone().all(|name| known.contains(&name.as_str())), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(!message.is_empty() && !message.contains("hint:") && !message.contains('\n'), "{error}");
    message.to_owned()
}

/// A server's state that its users can change, and all its files.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    rows: Vec<Value>,
    files: BTreeSet<String>,
}

impl Snapshot {
    async fn of(team: &Team, data: &Path) -> Self {
        let mut rows = Vec::new();
        let paths = ["/users", "/tokens", "/runtimes", "/runtimes/shop/versions", "/runtimes/shop/boards"];
        for path in paths {
            let mut listed = team.api.get(path).await.expect(StatusCode::OK);
            // Listing changes the time when a token was last used.
            for row in listed.as_array_mut().unwrap() {
                row.as_object_mut().unwrap().remove("used");
            }
            rows.push(listed);
        }
        let mut files = BTreeSet::new();
        walk(data, &mut files);
        Self { rows, files }
    }
}

fn walk(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        found.insert(path.display().to_string());
        if entry.file_type().unwrap().is_dir() {
            walk(&path, found);
        }
    }
}
