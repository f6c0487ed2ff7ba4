//! Measurements in InfluxDB.

use super::{Served, package};
use crate::support::eventually;
use krt_servers::InfluxServer;
use serde_json::Value;

const USER: &str = "ada:s3cret";

/// The values of `sold` in a database: the tag, by time.
async fn sold(server: &InfluxServer, database: &str) -> Vec<String> {
    let answer = server.query("GET", database, Some(USER), "SELECT what, count FROM sold").await;
    let rows = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row[1].as_str().unwrap().to_owned()).collect()
}

async fn databases(server: &InfluxServer) -> Vec<Value> {
    let answer = server.query("GET", "", Some(USER), "SHOW DATABASES").await;
    let rows = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
    rows.into_iter().map(|row| row[0].clone()).collect()
}

#[tokio::test]
async fn each_runtime_has_its_own_measurements_for_as_long_as_it_lives() {
    let test = "each_runtime_has_its_own_measurements_for_as_long_as_it_lives";
    let Some(mut server) = InfluxServer::start(test, true) else { return };
    let made = server.query("POST", "", None, "CREATE USER ada WITH PASSWORD 's3cret' WITH ALL PRIVILEGES");
    made.await;
    let data = tempfile::tempdir().unwrap();
    let url = format!("http://{USER}@127.0.0.1:{}", server.port);
    let served = Served::start(data.path(), |krt| krt.env("KRT_INFLUX_URI", &url)).await;
    let v1 = package("v1", "");
    for runtime in ["shop", "bank"] {
        served.runtime(runtime).await;
        served.publish(runtime, "v1", v1.path()).await;
    }
    served.ask("shop", "measure", "apples").await.unwrap();
    served.ask("bank", "measure", "loans").await.unwrap();
    for (runtime, what) in [("shop", "apples"), ("bank", "loans")] {
        let there = async || (sold(&server, runtime).await == [what]).then_some(());
        eventually(&format!("the measurements of {runtime}"), there).await;
    }
    let store = served.store("shop", "measurements").await;
    assert_eq!((&store["kept_by"], &store["up"]), (&"influxdb".into(), &true.into()), "{store}");
    assert_eq!(store["address"], format!("http://127.0.0.1:{}", server.port), "no secrets");

    // While it is away, measurements wait, even for another start of the server.
    server.kill();
    served.ask("shop", "measure", "pears").await.unwrap();
    eventually("the server knows", async || {
        let store = served.store("shop", "measurements").await;
        (store["up"] == false && store["waiting"].as_u64().unwrap() > 0).then_some(())
    })
    .await;
    let ada = served.admin().await;
    let shown = ada.types(&["runtime", "stores", "shop"]).await.well();
    assert!(shown.contains("InfluxDB") && shown.contains("no") && shown.contains("wait"), "{shown}");
    let ended = served.team.stop().await;
    assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
    server.start_again();
    let served = Served::start(data.path(), |krt| krt.flag("--influx", &url)).await;
    served.until("shop", "v1", "PUBLISHED").await;
    served.ask("shop", "measure", "plums").await.unwrap();
    let all = async || (sold(&server, "shop").await == ["apples", "pears", "plums"]).then_some(());
    eventually("what waited, and what is new", all).await;
    assert_eq!(sold(&server, "bank").await, ["loans"]);

    served.stop("shop", "v1").await;
    served.admin().await.types(&["runtime", "delete", "shop", "--yes"]).await.well();
    let left = databases(&server).await;
    assert!(!left.contains(&"shop".into()) && left.contains(&"bank".into()), "{left:?}");
    let ended = served.team.stop().await;
    assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
}
