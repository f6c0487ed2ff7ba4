//! A team's server, and its API.

use super::{
    Krt, eventually,
    http::{Http, Reply},
    krt::{command, write_package},
    service::{Exited, Service},
};
use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path};
use tempfile::TempDir;

/// The first user's password.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server with the runtime `shop`.
pub(crate) struct Team {
    service: Service,
    pub(crate) api: Api,
}

/// The API, with a user's token.
pub(crate) struct Api {
    http: Http,
    token: String,
}

/// A user's session, as in a browser.
pub(crate) struct Session {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
    role: String,
}

/// A version that answers with its name; `more` is code that runs first.
pub(crate) fn version(name: &str, more: &str) -> TempDir {
    let manifest = format!(
        "version: {name}
description: Says its name.
entrypoint:
  proto: public_input.proto
nodes:
  - name: namer
    src: src/namer/main.py
    concurrency: 64
workflows:
  - name: naming
    entrypoint: Name
    sequential:
      - namer
"
    );
    let node = format!(
        "import asyncio
import os
from public_input_pb2 import Text
{more}

async def handler(ctx, data):
    request = Text()
    data.Unpack(request)
    ctx.logger.info('asked')
    await asyncio.sleep(0.005)
    return Text(text=os.environ['KRT_VERSION'])
"
    );
    let proto = "syntax = \"proto3\";
package names;
service Entrypoint {
  rpc Name(Text) returns (Text);
}
message Text {
  string text = 1;
}
";
    write_package(&[("krt.yml", &manifest), ("public_input.proto", proto), ("src/namer/main.py", &node)])
}

/// Packs a package into bytes.
pub(crate) fn packed(folder: &Path) -> Vec<u8> {
    let out = tempfile::tempdir().expect("there is room for a temporary folder");
    let archive = out.path().join("package.krt");
    let packed = command().arg("pack").arg("--no-check").arg(folder).arg("-o").arg(&archive).output();
    let packed = packed.expect("the binary can be executed");
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    std::fs::read(archive).expect("it was packed")
}

/// A client for the port of a service's dashboard.
pub(crate) async fn dashboard(service: &Service) -> Http {
    let start = "the dashboard is at http://";
    let record = service.lines.wait("the dashboard", |record| record.message.starts_with(start)).await;
    Http::one(record.message[start.len()..].parse().expect("the record names an address"))
}

impl Team {
    /// Starts a server with a data folder, possibly of an earlier server.
    pub(crate) async fn start(data: &Path) -> Self {
        let described = version("described", "");
        Self::started_by(Krt::serve(described.path()), data).await
    }

    /// Starts a server with additional flags.
    pub(crate) async fn started_by(krt: Krt, data: &Path) -> Self {
        let service = krt.data(data).env("KRT_ADMIN_PASSWORD", PASSWORD).start().await;
        let api = Api::sign_in(dashboard(&service).await, "admin", PASSWORD).await;
        Self { service, api }
    }

    /// Starts a server with the runtime `shop`.
    pub(crate) async fn with_shop(data: &Path) -> Self {
        let team = Self::start(data).await;
        team.api
            .post("/runtimes", json!({"id": "shop", "name": "The shop"}))
            .await
            .expect(StatusCode::CREATED);
        team
    }

    /// Creates another user.
    pub(crate) async fn user(&self, login: &str, role: &str) -> Api {
        let new = json!({"login": login, "role": role, "password": PASSWORD});
        self.api.post("/users", new).await.expect(StatusCode::CREATED);
        Api::sign_in(self.api.http.again(), login, PASSWORD).await
    }

    /// Uploads a version.
    pub(crate) async fn upload(&self, name: &str, more: &str) {
        let package = packed(version(name, more).path());
        self.api.upload(package).await.expect(StatusCode::CREATED);
    }

    /// Uploads a version and starts it.
    pub(crate) async fn started(&self, name: &str) {
        self.upload(name, "").await;
        self.api.act(name, "start").await.expect(StatusCode::ACCEPTED);
        self.until(name, "STARTED").await;
    }

    /// Waits until a version is in a state; returns the version.
    pub(crate) async fn until(&self, version: &str, state: &str) -> Value {
        eventually(state, async || {
            let found = self.api.get(&format!("/runtimes/shop/versions/{version}")).await.json();
            (found["state"] == state).then_some(found)
        })
        .await
    }

    /// Kills it.
    pub(crate) async fn kill(self) {
        self.service.signal(Signal::KILL);
        self.service.end().await;
    }

    /// Stops it, which must succeed.
    pub(crate) async fn stop(self) -> Exited {
        self.service.stop().await
    }
}

impl std::ops::Deref for Team {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Session {
    /// Signs in.
    pub(crate) async fn open(http: &Http, login: &str, password: &str) -> Self {
        let opened = http.post_json("/api/v1/session", &json!({"login": login, "password": password})).await;
        let me = opened.expect(StatusCode::OK);
        let text = |name: &str| me[name].as_str().expect("a session has one").to_owned();
        let cookie = opened.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        Self { cookie, csrf: text("csrf_token"), role: text("role") }
    }
}

impl Api {
    /// Signs in, and creates a token.
    async fn sign_in(http: Http, login: &str, password: &str) -> Self {
        let Session { cookie, csrf, role } = Session::open(&http, login, password).await;
        let new = json!({"name": "tests", "role": role}).to_string();
        let headers = [("content-type", "application/json"), ("cookie", &*cookie), ("x-csrf-token", &*csrf)];
        let made = http.post("/api/v1/tokens", &headers, new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let token = made.json()["secret"].as_str().expect("a new token is shown").to_owned();
        Self { http, token }
    }

    /// The API's URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http.address())
    }

    /// The client, for arbitrary requests.
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// The server's address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The same API with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { http: self.http.again(), token: token.to_owned() }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", &*bearer), ("content-type", kind)];
        self.http.send(method, &format!("/api/v1{path}"), &headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, "application/json", Vec::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, "application/json", body.to_string().into()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, "application/json", body.to_string().into()).await
    }

    /// Uploads the bytes of a package.
    pub(crate) async fn upload(&self, package: Vec<u8>) -> Reply {
        self.send(Method::POST, "/runtimes/shop/versions", "application/octet-stream", package).await
    }

    /// Requests an action on a version.
    pub(crate) async fn act(&self, version: &str, action: &str) -> Reply {
        self.post(&format!("/runtimes/shop/versions/{version}/{action}"), json!({"comment": "a test"})).await
    }
}
