//! A viewer that loads the dashboard's pages repeatedly. Requests fail while the engine is down.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use std::{net::SocketAddr, time::Duration};

/// The requests of the pages.
const PAGES: [&str; 8] = [
    "runtimes",
    "runtimes/soak-v1/versions/soak-v1",
    "runtimes/soak-v1/versions/soak-v1/graph",
    "runtimes/soak-v1/requests",
    "runtimes/soak-v1/logs?text=work",
    "runtimes/soak-v1/measurements",
    "runtimes/soak-v1/predictions",
    "runtimes/soak-v1/predictions/summary",
];
/// The time spent on a page.
const PAUSE: Duration = Duration::from_millis(250);

/// Loads pages until the task is cancelled.
pub(super) async fn load_pages(dashboard: SocketAddr) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    for page in PAGES.iter().cycle() {
        let uri = format!("http://{dashboard}/api/v1/{page}");
        let request = Request::get(uri).body(Empty::<bytes::Bytes>::new()).expect("it is a good request");
        if let Ok(answer) = client.request(request).await {
            let status = answer.status();
            // Fails if the engine is killed meanwhile.
            let _ = answer.into_body().collect().await;
            let starts = status == StatusCode::SERVICE_UNAVAILABLE;
            assert!(status.is_success() || starts, "{page}: {status}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
