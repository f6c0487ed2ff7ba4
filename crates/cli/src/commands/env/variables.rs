//! The environment variables of existing KRT v1 runners (docs/reference/krt-v1.md#environment-of-a-node).
//!
//! Such a runner exits at once if a variable is missing. An empty URI is worse: MongoDB's client crashes, and
//! InfluxDB's client loses measurements.

use krt_broker::{Namespace, StageRef, WireProtocol};
use krt_package::Package;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Names and values; an empty value means unset.
pub(super) type Variables = Vec<(&'static str, String)>;

/// The servers that a runner connects to.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) nats: String,
    pub(super) mongo: Option<String>,
    pub(super) influx: Option<String>,
}

/// A variable that may be empty: the last node of core NATS has no output, and its runner checks for that.
const MAY_BE_EMPTY: &str = "KRT_NATS_OUTPUT";

/// Variables that every runner needs but that may have no value here, each with the flag that sets it.
const REQUIRED: [(&str, &str); 3] = [
    ("KRT_MONGO_URI", "--mongo mongodb://HOST:27017"),
    ("KRT_INFLUX_URI", "--influx http://HOST:8086"),
    ("KRT_NATS_SUBJECTS_FILE", "--subjects-file FILE writes the file that it names"),
];

/// The variables of a node.
pub(super) fn of_node(
    place: &StageRef<'_>,
    protocol: WireProtocol,
    package: &Package,
    servers: &Servers,
) -> Variables {
    let node = &place.version.nodes[place.workflow.sequence[place.position]];
    let mut variables = vec![
        ("KRT_WORKFLOW_NAME", place.workflow.name.to_string()),
        ("KRT_NODE_NAME", node.name.to_string()),
        ("KRT_NATS_INPUT", place.input(protocol)),
        (MAY_BE_EMPTY, place.output(protocol).unwrap_or_default()),
        ("KRT_NATS_MONGO_WRITER", place.mongo_writer()),
        ("KRT_HANDLER_PATH", node.src.clone()),
    ];
    variables.extend(of_all(place.namespace.runtime(), package, servers));
    variables.extend(of_documents(place.namespace.runtime(), servers));
    if protocol == WireProtocol::JetStream {
        variables.extend([
            ("KRT_NATS_STREAM", place.stream()),
            ("KRT_IS_LAST_NODE", place.is_last().to_string()),
            ("KRT_NATS_ENTRYPOINT_SUBJECT", place.entrypoint()),
        ]);
    }
    variables
}

/// The variables of the entrypoint; `file` is its subjects file.
pub(super) fn of_entrypoint(
    runtime: &str,
    package: &Package,
    timeout: Duration,
    file: Option<PathBuf>,
    servers: &Servers,
) -> Variables {
    let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
    let name = || "entrypoint".to_owned();
    let mut variables = vec![
        ("KRT_WORKFLOW_NAME", name()),
        ("KRT_WORKFLOW_ID", name()),
        ("KRT_NODE_NAME", name()),
        ("KRT_NODE_ID", name()),
        ("KRT_NATS_SUBJECTS_FILE", file.map(|file| file.display().to_string()).unwrap_or_default()),
        ("KRT_REQUEST_TIMEOUT", seconds.to_string()),
    ];
    variables.extend(of_all(runtime, package, servers));
    variables
}

/// Each RPC of a workflow, with the subject of its first node.
pub(super) fn subjects<'a>(
    namespace: &Namespace,
    package: &'a Package,
    protocol: WireProtocol,
) -> BTreeMap<&'a str, String> {
    let version = &package.version;
    let first = |workflow| StageRef { namespace, version, workflow, position: 0 };
    version
        .workflows
        .iter()
        .map(|workflow| (workflow.entrypoint.as_str(), first(workflow).input(protocol)))
        .collect()
}

fn of_all(runtime: &str, package: &Package, servers: &Servers) -> Variables {
    let version = &package.version.name;
    vec![
        ("KRT_VERSION_ID", version.to_string()),
        ("KRT_VERSION", version.to_string()),
        ("KRT_RUNTIME_ID", runtime.to_owned()),
        ("KRT_BASE_PATH", package.root.display().to_string()),
        ("KRT_NATS_SERVER", servers.nats.clone()),
        ("KRT_INFLUX_URI", servers.influx.clone().unwrap_or_default()),
    ]
}

fn of_documents(runtime: &str, servers: &Servers) -> Variables {
    let database = servers.mongo.as_ref().map(|_| krt_remote::database_name(runtime));
    vec![
        ("KRT_MONGO_URI", servers.mongo.clone().unwrap_or_default()),
        ("KRT_MONGO_DB_NAME", database.unwrap_or_default()),
    ]
}

/// Splits variables into those with a value, and required ones without, each with the flag that sets it.
pub(super) fn present(variables: Variables) -> (Variables, Vec<(&'static str, &'static str)>) {
    let (present, empty): (Vec<_>, Vec<_>) =
        variables.into_iter().partition(|(name, value)| !value.is_empty() || *name == MAY_BE_EMPTY);
    let is_empty = |wanted: &str| empty.iter().any(|(name, _)| *name == wanted);
    (present, REQUIRED.into_iter().filter(|(name, _)| is_empty(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_are_reported() {
        let variables = || {
            vec![
                ("KRT_MONGO_URI", String::new()),
                ("KRT_MONGO_DB_NAME", String::new()),
                ("KRT_NATS_OUTPUT", String::new()),
                ("KRT_INFLUX_URI", "http://h".to_owned()),
            ]
        };
        let (present, missing) = present(variables());
        assert_eq!(present, [variables()[2].clone(), variables()[3].clone()]);
        assert_eq!(missing, [REQUIRED[0]]);
    }
}
