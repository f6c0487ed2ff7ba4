//! `grpc.health.v1`: a service is SERVING while every node of its workflows can take messages.

use crate::flow::Flow;
use krt_package::{Package, open_inference};
use std::{collections::BTreeMap, sync::Arc};
use tonic_health::{ServingStatus, server::HealthReporter};

/// The service name of the server as a whole.
const ALL: &str = "";

/// The nodes that each service needs.
#[derive(Debug)]
struct Needs(BTreeMap<String, Vec<usize>>);

impl Needs {
    fn of(package: &Package) -> Self {
        let mut needs = BTreeMap::<String, Vec<usize>>::from([(ALL.to_owned(), Vec::new())]);
        for method in &package.schema.methods {
            let nodes = method.workflow.map(|index| &package.version.workflows[index].sequence);
            for service in [ALL, &method.service] {
                needs.entry(service.to_owned()).or_default().extend(nodes.into_iter().flatten());
            }
        }
        let models = package.version.workflows.iter().filter(|workflow| workflow.open_inference);
        for workflow in models {
            needs.entry(open_inference::SERVICE.to_owned()).or_default().extend(&workflow.sequence);
        }
        Self(needs)
    }
}

/// Keeps the reported health up to date until the flow is gone.
pub async fn watch(package: Arc<Package>, flow: Arc<Flow>, reporter: HealthReporter) {
    let needs = Needs::of(&package);
    let mut workers = flow.watch_nodes();
    let mut open = flow.admission().watch();
    loop {
        let serving = *open.borrow_and_update();
        workers.mark_unchanged();
        for (service, nodes) in &needs.0 {
            let up = serving && nodes.iter().all(|&node| flow.serves(node));
            let status = if up { ServingStatus::Serving } else { ServingStatus::NotServing };
            reporter.set_service_status(service, status).await;
        }
        tokio::select! {
            Ok(()) = workers.changed() => {}
            Ok(()) = open.changed() => {}
            else => return,
        }
    }
}
