//! The entrypoint alone, with the real ingress, admission, ticket, queue, judgement and measurements. An echo
//! inside the process replaces the workers.
//!
//! Prints `listening on ADDRESS` and serves `/chain.Entrypoint/Run` until it is killed.

#![expect(clippy::print_stdout, reason = "the driver reads the address from standard output")]

use krt_model::outcome::HandlerResult;
use krt_runtime::{
    flow::{self, Accepted, Delivery, Flow, HandlerTimes, Request, SlotId, Worker, now},
    ingress::{self, ClientPort, Ingress, browsers::Rules},
    traces::Traces,
};
use krt_store::Store;
use std::{
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../chain");

/// Answers each delivery with its own message, as the final answer.
#[derive(Debug)]
struct Echo {
    flow: Weak<Flow>,
    slot: OnceLock<SlotId>,
}

impl Worker for Echo {
    fn deliver(&self, delivery: Delivery) -> Result<Accepted, Delivery> {
        let Some(flow) = self.flow.upgrade() else { return Err(delivery) };
        let moment = now();
        let result = HandlerResult::Message { payload: delivery.payload.clone(), early_exit: true };
        flow.finish(delivery, result, HandlerTimes { start: moment, end: moment });
        Ok(Accepted::Done)
    }

    fn cancel(&self, _: &Request) {}
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let package = krt_package::load(Path::new(PACKAGE))?;
    let data = tempfile::tempdir()?;
    let (store, _writer) = Store::open(data.path(), &krt_store::Options::default())?;
    let flow = Arc::new(Flow::new(&package.version, flow::Limits::default(), &store));
    let echo = Arc::new(Echo { flow: Arc::downgrade(&flow), slot: OnceLock::new() });
    flow.queue(0).join(Arc::clone(&echo) as Arc<dyn Worker>, usize::from(u16::MAX), &echo.slot);
    flow.admission().open();
    let limits = ingress::Limits { timeout: Duration::from_secs(30), message: 16 << 20 };
    let routes = ingress::routes(&package, limits.message);
    let ingress = Ingress::new(&package, &routes, flow, limits, Routes::default(), Traces::default());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let rules = Rules::of(listener.local_addr()?);
    let port = ClientPort::open(listener, None, ingress::listener::Limits::default(), rules)?;
    port.upstream().set_ingress(Arc::new(ingress));
    println!("listening on {}", port.address());
    std::future::pending().await
}
