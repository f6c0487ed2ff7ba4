//! The port where metrics are read. It keeps out web pages of other sites, as the other ports do.

use crate::{
    ingress::{
        browsers::{Hosts, Sender},
        listener::{self, DescriptorReserve, Limits, Peer, Port},
    },
    metrics::page,
};
use http::Request;
use hyper::body::Incoming;
use krt_model::hint;
use std::time::Duration;
use tokio::net::TcpListener;

/// A port that is bound, and the names that it answers to.
#[derive(Debug)]
pub struct MetricsPort {
    /// The port.
    pub listener: TcpListener,
    /// Its names.
    pub hosts: Hosts,
}

impl MetricsPort {
    /// Answers readers with `text`, without end.
    pub(super) async fn serve(
        self,
        limits: Limits,
        text: impl Fn() -> String + Clone + Send + Sync + 'static,
    ) {
        let Self { listener, hosts } = self;
        if let Ok(address) = listener.local_addr() {
            tracing::info!("metrics are at http://{address}/metrics");
        }
        let answer = move |request: Request<Incoming>, _: Peer| {
            let response = match check(&hosts, &request) {
                Ok(()) => page::answer(&request, &text),
                Err(reason) => page::refuse(&reason),
            };
            async move { response }
        };
        let port = Port {
            tls: None,
            limits: limits.for_management(),
            reserved: DescriptorReserve::MANAGEMENT,
            grace: Duration::ZERO,
        };
        listener::serve(listener, port, answer, std::future::pending::<()>()).await;
    }
}

/// Why a request is refused. A person may follow a link to the page.
fn check<B>(hosts: &Hosts, request: &Request<B>) -> Result<(), String> {
    hosts.check(request, |_| false).map_err(|foreign| {
        hint::on_one_line(foreign.to_string(), &["`--allow-host` adds a name of this port"])
    })?;
    match Sender::of(request) {
        Sender::Own | Sender::Link => Ok(()),
        Sender::Page(_) | Sender::Unnamed => Err("pages of other sites may not read the metrics".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};

    fn is_answered(hosts: &Hosts, headers: &[(&str, &str)]) -> bool {
        let request = headers
            .iter()
            .fold(Request::get("/metrics"), |request, (name, value)| request.header(*name, *value));
        check(hosts, &request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn foreign_names_and_pages_are_refused() {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 9100));
        let own = Hosts::of(loopback, vec!["krt.local".parse().unwrap()]);
        let any = Hosts::of(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9100)), Vec::new());
        let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        for (headers, by_loopback, by_any) in [
            (vec![], true, true),
            (vec![("host", "localhost:9100")], true, true),
            (vec![("host", "krt.local")], true, true),
            (vec![("host", "prometheus:9100")], false, true),
            (vec![("host", "localhost:9100"), ("origin", "http://localhost:9100")], true, true),
            (vec![("host", "localhost:9100"), ("origin", "https://evil.example")], false, false),
            (vec![("host", "localhost:9100"), ("origin", "null")], false, false),
            (vec![("host", "localhost:9100"), ("sec-fetch-site", "cross-site")], false, false),
            ([&[("host", "localhost"), ("sec-fetch-site", "cross-site")], &link[..]].concat(), true, true),
        ] {
            let answered = (is_answered(&own, &headers), is_answered(&any, &headers));
            assert_eq!(answered, (by_loopback, by_any), "{headers:?}");
        }
    }
}
