//! The targets of RPCs.

use crate::flow::Route;
use krt_package::Package;
use std::sync::Arc;

/// Returns the route of each workflow, by its index; `None` if no RPC uses it.
pub fn routes(package: &Package, answer_limit: usize) -> Vec<Option<Arc<Route>>> {
    let mut routes = vec![None; package.version.workflows.len()];
    for method in &package.schema.methods {
        let Some(index) = method.workflow else { continue };
        let workflow = &package.version.workflows[index];
        routes[index] = Some(Arc::new(Route {
            workflow: workflow.name.clone(),
            index,
            sequence: workflow.sequence.clone(),
            answer_type: method.output.full_name().to_owned(),
            answer_limit,
            streams: method.streams,
            priority: workflow.priority,
        }));
    }
    routes
}
