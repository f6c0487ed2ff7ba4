//! Measurements while InfluxDB is down, slow, or refuses them.

use crate::{
    measurements::{Fixture, count, remote},
    recorder::Recorder,
};
use krt_remote::SPOOL_LIMIT;
use krt_servers::InfluxServer;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Waits until a condition holds; fails if it never does.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn measure(fixture: &Fixture, times: std::ops::Range<i64>) {
    for time in times {
        fixture.measure("m", time, &[("t", "x")], &[("n", time.into())]);
    }
    fixture.store.flush().await.unwrap();
}

fn spooled(folder: &TempDir) -> u64 {
    let files = std::fs::read_dir(folder.path().join("influx")).unwrap();
    files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
}

/// The number of waiting points, from the names of their files.
fn points_on_disk(folder: &TempDir) -> u64 {
    let files = std::fs::read_dir(folder.path().join("influx")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let points = |name: String| {
        let (_, points) = name.strip_suffix(".lines")?.split_once('-')?;
        points.parse::<u64>().ok()
    };
    names.map(|name| points(name).unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_the_server_is_away() {
    let Some(mut server) = InfluxServer::start("nothing_is_lost_while_the_server_is_away", false) else {
        return;
    };
    let url = format!("http://127.0.0.1:{}", server.port);
    let fixture = remote(&url, TempDir::new().unwrap(), SPOOL_LIMIT);
    let influx = fixture.influx.as_ref().unwrap();
    measure(&fixture, 0..100).await;
    until("the first are there", || influx.written() == 100).await;

    server.kill();
    measure(&fixture, 100..200).await;
    until("some wait on disk", || spooled(&fixture.folder) > 0).await;
    measure(&fixture, 200..300).await;
    server.start_again();
    until("all are there", || influx.written() == 300).await;
    assert_eq!((influx.dropped(), count(&server, "m").await, spooled(&fixture.folder)), (0, 300, 0));

    // The engine ends while the server is down, and restarts.
    server.kill();
    measure(&fixture, 300..400).await;
    let folder = fixture.close().await;
    assert!(spooled(&folder) > 0);
    server.start_again();
    let fixture = remote(&url, folder, SPOOL_LIMIT);
    let influx = fixture.influx.as_ref().unwrap();
    until("the last are there", || influx.written() == 100).await;
    assert_eq!((influx.dropped(), count(&server, "m").await), (0, 400));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_points_of_another_type_are_dropped() {
    let Some(server) = InfluxServer::start("only_points_of_another_type_are_dropped", false) else { return };
    let fixture = remote(&format!("http://127.0.0.1:{}", server.port), TempDir::new().unwrap(), SPOOL_LIMIT);
    let influx = fixture.influx.as_ref().unwrap();
    measure(&fixture, 0..10).await;
    until("the numbers are there", || influx.written() == 10).await;
    for time in 10..13 {
        fixture.measure("m", time, &[("t", "x")], &[("n", "no number".into())]);
    }
    measure(&fixture, 13..20).await;
    until("the rest is judged", || influx.written() + influx.dropped() == 20).await;
    assert_eq!((influx.written(), influx.dropped(), count(&server, "m").await), (17, 3, 17));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_without_room_are_counted() {
    // A port that was free a moment ago, so no server listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fixture = remote(&format!("http://127.0.0.1:{free}"), TempDir::new().unwrap(), 64 << 10);
    let influx = fixture.influx.as_ref().unwrap();
    let mut measured = 0;
    while influx.dropped() == 0 {
        measure(&fixture, measured..measured + 500).await;
        measured += 500;
        assert!(measured < 1_000_000, "nothing is ever dropped");
    }
    until("each point is on disk or counted", || {
        influx.dropped() + points_on_disk(&fixture.folder) == measured as u64
    })
    .await;
    assert!((1..=64 << 10).contains(&spooled(&fixture.folder)));
    assert_eq!(influx.written(), 0);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_use_the_second_interface() {
    let server = Recorder::start(&[503, 429]).await;
    let url = format!("http://t0k%2Fen@127.0.0.1:{}?org=our%20org", server.port);
    let fixture = remote(&url, TempDir::new().unwrap(), SPOOL_LIMIT);
    measure(&fixture, 7..8).await;
    let influx = fixture.influx.as_ref().unwrap();
    until("it is taken", || influx.written() == 1).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(request.target, "/api/v2/write?org=our+org&bucket=shop&precision=ns");
        assert_eq!(request.authorization.as_deref(), Some("Token t0k/en"));
        assert_eq!(request.body, "m,t=x n=7i 7\n");
    }
    fixture.close().await;
}
