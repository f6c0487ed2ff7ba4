//! A team's server with stores elsewhere: documents in MongoDB, measurements in InfluxDB, messages over NATS.

mod documents;
mod measurements;
mod messages;
mod start;

use crate::support::{
    Krt, eventually,
    grpc::Client,
    krt::write_package,
    person::Person,
    team::{PASSWORD, Team, packed},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use tonic::{Request, Status};

/// A version with two nodes, the last of which does what a request asks for; `more` is code at the top of its file.
fn package(version: &str, more: &str) -> TempDir {
    let manifest = format!(
        "version: {version}
description: Does what it is asked for.
entrypoint:
  proto: public_input.proto
nodes:
  - name: first
    src: src/first/main.py
    payload: json
    concurrency: 64
  - name: last
    src: src/last/main.py
    payload: json
    concurrency: 64
workflows:
  - name: acting
    entrypoint: Act
    sequential:
      - first
      - last
"
    );
    let first = "async def handler(ctx, data):\n    return data\n";
    let last = format!(
        "import asyncio
import os
{more}

async def handler(ctx, data):
    act, text = data['act'], data['text']
    if act == 'save':
        await ctx.db.save('things', {{'text': text}})
        await ctx.prediction.save(predicted_value=text, true_value=text)
    if act == 'find':
        found = await ctx.db.find('things', {{'text': {{'$gt': ''}}}})
        text = ' '.join(sorted(thing['text'] for thing in found))
    if act == 'measure':
        ctx.measurement.save('sold', {{'count': 1}}, {{'what': text}})
    if act == 'where':
        text = os.environ['KRT_RUNTIME_ID'] + '/' + os.environ['KRT_VERSION']
    if act == 'place':
        # Workers of `krt node` inherit this variable, and those of a server do not.
        text = 'elsewhere' if 'E2E_SCRATCH' in os.environ else 'server'
    if act == 'confirm':
        await ctx.early_reply({{'text': 'confirmed'}})
        while not os.path.exists(text):
            await asyncio.sleep(0.01)
        await ctx.db.save('things', {{'text': 'done'}})
    if act == 'confirm_and_fail':
        await ctx.early_reply({{'text': 'confirmed'}})
        raise ValueError('no shelf')
    return {{'text': text}}
"
    );
    let proto = "syntax = \"proto3\";
package served;
service Entrypoint {
  rpc Act(Order) returns (Order);
}
message Order {
  string act = 1;
  string text = 2;
}
";
    write_package(&[
        ("krt.yml", &manifest),
        ("public_input.proto", proto),
        ("src/first/main.py", first),
        ("src/last/main.py", &last),
    ])
}

/// A server, with a name for each runtime.
struct Served {
    team: Team,
    described: TempDir,
}

impl Served {
    /// Starts a server with more flags.
    async fn start(data: &Path, flags: impl FnOnce(Krt) -> Krt) -> Self {
        let described = package("described", "");
        let team = Team::started_by(flags(Krt::serve(described.path())), data).await;
        Self { team, described }
    }

    /// Creates a runtime.
    async fn runtime(&self, id: &str) {
        self.team.api.post("/runtimes", json!({ "id": id, "name": id })).await.expect(StatusCode::CREATED);
    }

    /// Uploads a package as a version of a runtime, starts it and publishes it.
    async fn publish(&self, runtime: &str, version: &str, package: &Path) {
        self.upload(runtime, package).await;
        self.act(runtime, version, "start").await;
        self.until(runtime, version, "STARTED").await;
        self.act(runtime, version, "publish").await;
    }

    async fn upload(&self, runtime: &str, package: &Path) {
        let path = format!("/runtimes/{runtime}/versions");
        let sent = self.team.api.send(Method::POST, &path, "application/octet-stream", packed(package)).await;
        sent.expect(StatusCode::CREATED);
    }

    async fn act(&self, runtime: &str, version: &str, action: &str) {
        let path = format!("/runtimes/{runtime}/versions/{version}/{action}");
        let done = self.team.api.post(&path, json!({ "comment": "" })).await;
        assert!(done.status.is_success(), "{done:?}");
    }

    /// Waits until a version is in a state; returns the version.
    async fn until(&self, runtime: &str, version: &str, state: &str) -> Value {
        eventually(state, async || {
            let found = self.team.api.get(&format!("/runtimes/{runtime}/versions/{version}")).await.json();
            (found["state"] == state).then_some(found)
        })
        .await
    }

    /// A client with a connection of its own.
    fn client(&self) -> Client {
        Client::new(self.described.path(), self.team.address)
    }

    /// Asks the published version of a runtime.
    async fn ask(&self, runtime: &str, act: &str, text: &str) -> Result<String, Status> {
        ask(&self.client(), runtime, act, text).await
    }

    /// A store of a runtime, as the API shows it.
    async fn store(&self, runtime: &str, holds: &str) -> Value {
        let stores = self.team.api.get(&format!("/runtimes/{runtime}/stores")).await.expect(StatusCode::OK);
        let stores = stores.as_array().unwrap().iter();
        stores.into_iter().find(|store| store["holds"] == holds).unwrap().clone()
    }

    /// A person at a terminal, signed in as admin.
    async fn admin(&self) -> Person {
        let person = Person::new();
        person.signs_in(&self.team.api.url(), "admin", PASSWORD).await.well();
        person
    }

    /// Stops the published version of a runtime.
    async fn stop(&self, runtime: &str, version: &str) {
        self.act(runtime, version, "unpublish").await;
        self.act(runtime, version, "stop").await;
        self.until(runtime, version, "STOPPED").await;
    }
}

async fn ask(client: &Client, runtime: &str, act: &str, text: &str) -> Result<String, Status> {
    let mut request = Request::new(json!({ "act": act, "text": text }));
    request.metadata_mut().insert("krt-runtime", runtime.parse().unwrap());
    let answer = client.call_by("Act", request).await?;
    // JSON leaves out an empty text.
    Ok(answer["text"].as_str().unwrap_or_default().to_owned())
}
