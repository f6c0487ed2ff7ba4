//! Documents in MongoDB.

use super::{Served, package};
use crate::support::eventually;
use bson::Document;
use futures::TryStreamExt as _;
use http::{Method, StatusCode};
use krt_remote::{Documents, Mongo};
use krt_servers::{Link, MongoServer};
use krt_store::{PREDICTIONS, Reader};
use std::path::Path;
use tonic::Code;

async fn count(server: &MongoServer, runtime: &str, collection: &str) -> usize {
    let mongo = Documents::Mongo(Mongo::connect(&(*server.url).into(), runtime).await.unwrap());
    let found = mongo.find(collection, Document::new()).await.unwrap();
    found.try_collect::<Vec<_>>().await.unwrap().len()
}

fn embedded(data: &Path, runtime: &str) -> usize {
    Reader::open(&data.join("runtimes").join(runtime).join("store")).unwrap().collections().unwrap().len()
}

/// Versions of the same name, in two runtimes.
#[tokio::test]
async fn each_runtime_has_its_own_documents_for_as_long_as_it_lives() {
    let Some(server) = MongoServer::start("each_runtime_has_its_own_documents_for_as_long_as_it_lives")
    else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let serve = || Served::start(data.path(), |krt| krt.flag("--mongo", &server.url));
    let served = serve().await;
    let (v1, v2) = (package("v1", ""), package("v2", ""));
    for runtime in ["shop", "shop-eu"] {
        served.runtime(runtime).await;
        served.publish(runtime, "v1", v1.path()).await;
    }
    served.ask("shop", "save", "apples").await.unwrap();
    served.ask("shop-eu", "save", "figs").await.unwrap();
    assert_eq!(served.ask("shop", "find", "").await.unwrap(), "apples");
    assert_eq!(served.ask("shop-eu", "find", "").await.unwrap(), "figs");
    for runtime in ["shop", "shop-eu"] {
        assert_eq!(count(&server, runtime, "things").await, 1, "{runtime}");
        assert_eq!(count(&server, runtime, PREDICTIONS).await, 1, "{runtime}");
        let page = served.team.api.get(&format!("/runtimes/{runtime}/predictions")).await;
        assert_eq!(page.expect(StatusCode::OK)["predictions"].as_array().unwrap().len(), 1, "{runtime}");
    }
    let store = served.store("shop-eu", "documents").await;
    assert_eq!((&store["kept_by"], &store["up"]), (&"mongodb".into(), &true.into()), "{store}");
    assert_eq!((&store["database"], &store["deleted_with_runtime"]), (&"shop-eu-data".into(), &true.into()));

    // The server dies, and another version follows.
    served.team.kill().await;
    let served = serve().await;
    served.until("shop", "v1", "PUBLISHED").await;
    assert_eq!(served.ask("shop", "find", "").await.unwrap(), "apples");
    served.publish("shop", "v2", v2.path()).await;
    assert_eq!(served.ask("shop", "find", "").await.unwrap(), "apples");
    served.act("shop", "v1", "stop").await;
    served.until("shop", "v1", "STOPPED").await;
    let deleted =
        served.team.api.send(Method::DELETE, "/runtimes/shop/versions/v1", "text/plain", Vec::new());
    deleted.await.expect(StatusCode::NO_CONTENT);
    assert_eq!(served.ask("shop", "find", "").await.unwrap(), "apples", "documents belong to the runtime");
    assert_eq!((embedded(data.path(), "shop"), embedded(data.path(), "shop-eu")), (0, 0));

    // A deleted runtime leaves nothing, and the other keeps its own.
    served.stop("shop", "v2").await;
    let ada = served.admin().await;
    let why = ada.types(&["runtime", "delete", "shop"]).await.why();
    let place = format!("`shop-data` in MongoDB at {}", server.url.trim_end_matches('/'));
    assert!(why.contains(&place), "{why}");
    ada.types(&["runtime", "delete", "shop", "--yes"]).await.well();
    assert_eq!(count(&server, "shop", "things").await, 0);
    assert_eq!(served.ask("shop-eu", "find", "").await.unwrap(), "figs");
    served.runtime("shop").await;
    served.publish("shop", "v1", v1.path()).await;
    assert_eq!(served.ask("shop", "find", "").await.unwrap(), "");
    let ended = served.team.stop().await;
    assert!(!ended.lines.text().contains("ERROR"), "{}", ended.lines.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_may_go_away_and_come_back() {
    let Some(server) = MongoServer::start("mongodb_may_go_away_and_come_back") else { return };
    let data = tempfile::tempdir().unwrap();
    let address = server.url.strip_prefix("mongodb://").unwrap().trim_end_matches('/');
    let link = Link::to(address.rsplit_once(':').unwrap().1.parse().unwrap()).await;
    let url = format!("mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=500", link.port);
    let served = Served::start(data.path(), |krt| krt.flag("--mongo", &url)).await;
    served.runtime("shop").await;
    served.publish("shop", "v1", package("v1", "").path()).await;
    served.ask("shop", "save", "apples").await.unwrap();

    link.cut();
    let failed = served.ask("shop", "save", "pears").await.unwrap_err();
    assert_eq!(failed.code(), Code::Internal, "{failed}");
    assert!(failed.message().starts_with("error in 'last': "), "{failed}");
    assert_eq!(served.ask("shop", "", "no document").await.unwrap(), "no document", "others are served");
    let store = served.store("shop", "documents").await;
    assert_eq!(store["up"], false, "{store}");
    assert!(store["reason"].as_str().unwrap().contains("failed"), "{store}");
    let page = served.team.api.get("/runtimes/shop/predictions").await;
    let refused = page.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused["message"].as_str().unwrap().starts_with("MongoDB at `mongodb://"), "{refused}");
    served.stop("shop", "v1").await;
    let delete =
        async || served.team.api.send(Method::DELETE, "/runtimes/shop", "text/plain", Vec::new()).await;
    let refused = delete().await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused["message"].as_str().unwrap().starts_with("MongoDB at `mongodb://"), "{refused}");

    link.restore();
    served.act("shop", "v1", "start").await;
    served.until("shop", "v1", "STARTED").await;
    served.act("shop", "v1", "publish").await;
    served.ask("shop", "save", "plums").await.unwrap();
    assert_eq!(served.ask("shop", "find", "").await.unwrap(), "apples plums");
    assert_eq!(served.store("shop", "documents").await["up"], true);
    served.stop("shop", "v1").await;

    // A deletion that waits for MongoDB holds up no other runtime.
    served.runtime("other").await;
    link.hold();
    let logs = async |runtime: &str| served.team.api.get(&format!("/runtimes/{runtime}/logs")).await.status;
    let meanwhile = async {
        let begun = async || (logs("shop").await == StatusCode::NOT_FOUND).then_some(());
        eventually("the deletion has begun", begun).await;
        assert_eq!(logs("other").await, StatusCode::OK);
        link.restore();
    };
    let (deleted, ()) = tokio::join!(delete(), meanwhile);
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(count(&server, "shop", "things").await, 0);
    served.team.stop().await;
}
