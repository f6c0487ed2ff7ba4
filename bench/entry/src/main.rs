//! The entrypoint alone: door, admission, ticket, desk, judgement and measurements are the real ones;
//! in the place of hosts stands an echo inside the process.
//!
//! Prints `listening on ADDRESS` and serves `/chain.Entrypoint/Run` until it is killed.

#![expect(clippy::print_stdout, reason = "the driver reads the address from standard output")]

use krt_model::outcome::HandlerResult;
use krt_runtime::{
    entry::{self, Door, Gate, listen},
    flow::{self, Delivery, Flow, Handled, Host, Request, SeatId, Taken, now},
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
    seat: OnceLock<SeatId>,
}

impl Host for Echo {
    fn deliver(&self, delivery: Delivery) -> Result<Taken, Delivery> {
        let Some(flow) = self.flow.upgrade() else { return Err(delivery) };
        let moment = now();
        let result = HandlerResult::Message { payload: delivery.payload.clone(), early_exit: true };
        flow.finish(delivery, result, Handled { start: moment, end: moment });
        Ok(Taken::Done)
    }

    fn cancel(&self, _: &Request) {}
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let package = krt_package::load(Path::new(PACKAGE))?;
    let data = tempfile::tempdir()?;
    let (store, _writer) = Store::open(data.path(), &krt_store::Options::default())?;
    let flow = Arc::new(Flow::new(&package.version, flow::Limits::default(), &store));
    let echo = Arc::new(Echo { flow: Arc::downgrade(&flow), seat: OnceLock::new() });
    flow.desk(0).join(Arc::clone(&echo) as Arc<dyn Host>, usize::from(u16::MAX), &echo.seat);
    flow.admission().open();
    let limits = entry::Limits { timeout: Duration::from_secs(30), message: 16 << 20 };
    let routes = entry::routes(&package, limits.message);
    let door = Door::new(&package, &routes, flow, limits, Routes::default(), Traces::default());
    let gate = Gate::One(Arc::new(door));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("listening on {}", listener.local_addr()?);
    listen::run(listener, None, gate, std::future::pending::<()>(), Duration::ZERO).await;
    Ok(())
}
