//! Live streams of identities that have ended. Bound: each stream ends within the test's timeout with a last
//! event that has the reason, and sends nothing in between.

use crate::support::{
    http::{Http, Live},
    person::Person,
    team::{Api, PASSWORD, Session, Team},
};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

/// All streams of the API.
const STREAMS: [&str; 3] = ["/events", "/runtimes/shop/logs/tail", "/runtimes/shop/versions/v1/graph/live"];

/// A server with a version, and the manager grace.
struct Fixture {
    team: Team,
    _data: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let team = Team::with_shop(data.path()).await;
        team.upload("v1", "").await;
        Self { team, _data: data }
    }

    fn http(&self) -> &Http {
        self.team.api.http()
    }

    async fn change(&self, change: Value) {
        let body = change.to_string().into();
        let changed = self.team.api.send(Method::PATCH, "/users/grace", "application/json", body).await;
        changed.expect(StatusCode::OK);
    }

    /// The id of grace's first session or token that matches.
    async fn id(&self, path: &str, is: impl Fn(&Value) -> bool) -> String {
        let all = self.team.api.get(path).await.expect(StatusCode::OK);
        let found = all.as_array().unwrap().iter().find(|one| one["login"] == "grace" && is(one));
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn delete(&self, path: &str) {
        self.team.api.send(Method::DELETE, path, "", Vec::new()).await.expect(StatusCode::NO_CONTENT);
    }
}

/// Opens every stream with a header; all are open on return.
async fn listen(http: &Http, header: (&str, &str)) -> Vec<Live> {
    let mut all = Vec::new();
    for path in STREAMS {
        all.push(http.again().open(&format!("/api/v1{path}"), &[header]).await);
    }
    all
}

/// Asserts that each stream ends with the reason as its last event.
async fn all_end(streams: Vec<Live>, why: &str) {
    let last = format!("event: end\ndata: {{\"reason\":\"{why}\"}}\n\n");
    for (stream, path) in streams.into_iter().zip(STREAMS) {
        let text = stream.end().await;
        assert!(text.ends_with(&last), "{path}: {text}");
    }
}

async fn by_token(fixture: &Fixture, token: &str) -> Vec<Live> {
    listen(fixture.http(), ("authorization", &format!("Bearer {token}"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_session_end_with_it() {
    let fixture = Fixture::new().await;
    let new = json!({"login": "grace", "role": "manager", "password": PASSWORD});
    fixture.team.api.post("/users", new).await.expect(StatusCode::CREATED);
    let http = fixture.http();
    let session = async || Session::open(http, "grace", PASSWORD).await;
    let change_headers = |session: &Session| {
        [
            ("content-type", "application/json".to_owned()),
            ("cookie", session.cookie.clone()),
            ("x-csrf-token", session.csrf.clone()),
        ]
    };
    let send = async |session: &Session, method, path: &str, body: String| {
        let headers = change_headers(session);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        http.send(method, path, &headers, body).await.expect(StatusCode::NO_CONTENT);
    };

    // Signed out in another tab, and revoked by another user.
    let of = session().await;
    let streams = listen(http, ("cookie", &of.cookie)).await;
    send(&of, Method::DELETE, "/api/v1/session", String::new()).await;
    all_end(streams, "the session was ended").await;
    let of = session().await;
    let streams = listen(http, ("cookie", &of.cookie)).await;
    let id = fixture.id("/sessions", |_| true).await;
    fixture.delete(&format!("/sessions/{id}")).await;
    all_end(streams, "the session was ended").await;

    // A new password ends all sessions except the one that changed it.
    let (of, other) = (session().await, session().await);
    let streams = listen(http, ("cookie", &other.cookie)).await;
    let mut stays = http.again().open("/api/v1/events", &[("cookie", &of.cookie)]).await;
    let body = json!({"current": PASSWORD, "new": PASSWORD}).to_string();
    send(&of, Method::PUT, "/api/v1/session/password", body).await;
    all_end(streams, "the session was ended").await;
    let runtime = json!({"id": "other", "name": "Another"});
    fixture.team.api.post("/runtimes", runtime).await.expect(StatusCode::CREATED);
    stays.until("event: runtime\n").await;

    // An admin sets a new password or a lower role, disables or deletes the user.
    let changes = [
        (json!({"password": PASSWORD}), "the session was ended"),
        (json!({"role": "viewer"}), "the user's role was reduced"),
        (json!({"disabled": true}), "the user was disabled"),
    ];
    for (change, why) in changes {
        fixture.change(json!({"disabled": false, "role": "manager"})).await;
        let of = session().await;
        let streams = listen(http, ("cookie", &of.cookie)).await;
        fixture.change(change).await;
        all_end(streams, why).await;
    }
    fixture.change(json!({"disabled": false})).await;
    let of = session().await;
    let streams = listen(http, ("cookie", &of.cookie)).await;
    fixture.delete("/users/grace").await;
    all_end(streams, "the user was deleted").await;
    fixture.team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_token_end_with_it() {
    let fixture = Fixture::new().await;
    let grace = fixture.team.user("grace", "manager").await;
    let make = async |with: &Api, name: &str| {
        let new = json!({"name": name, "role": "manager"});
        let made = with.post("/tokens", new).await.expect(StatusCode::CREATED);
        with.with_token(made["secret"].as_str().unwrap())
    };

    // A token ends on its own, when it is revoked, or with its parent.
    let program = Person::with_token(&grace.url(), grace.token());
    let typed = ["token", "create", "short", "--role", "manager", "--expires", "5s"];
    let short = program.types(&typed).await.well();
    let streams = by_token(&fixture, short.trim()).await;
    all_end(streams, "the sign-in has expired").await;
    for revoked in ["child", "parent"] {
        let parent = make(&grace, "parent").await;
        let child = make(&parent, "child").await;
        let streams = by_token(&fixture, child.token()).await;
        let id = fixture.id("/tokens", |token| token["name"] == revoked).await;
        fixture.delete(&format!("/tokens/{id}")).await;
        all_end(streams, "the token was revoked").await;
        if revoked == "child" {
            let id = fixture.id("/tokens", |token| token["name"] == "parent").await;
            fixture.delete(&format!("/tokens/{id}")).await;
        }
    }

    // A token ends with changes to its user.
    let changes = [
        (
            json!({"password": PASSWORD, "revoke_tokens": false, "role": "viewer"}),
            "the user's role was reduced",
        ),
        (json!({"disabled": true}), "the user was disabled"),
        (json!({"password": PASSWORD}), "the token was revoked"),
    ];
    for (change, why) in changes {
        fixture.change(json!({"disabled": false, "role": "manager"})).await;
        let streams = by_token(&fixture, grace.token()).await;
        fixture.change(change).await;
        all_end(streams, why).await;
    }
    let ida = fixture.team.user("ida", "viewer").await;
    let streams = by_token(&fixture, ida.token()).await;
    fixture.delete("/users/ida").await;
    all_end(streams, "the user was deleted").await;
    fixture.team.stop().await;
}

/// Health and reflection streams of a version that only managers may name.
#[tokio::test(flavor = "multi_thread")]
async fn version_streams_end_with_their_token() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.started("v1").await;
    let made = team.api.post("/tokens", json!({"name": "ci", "role": "manager"})).await;
    let made = made.expect(StatusCode::CREATED);
    let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("krt-version", "v1"),
        ("authorization", &bearer),
    ];
    // An empty message, for the health of all services.
    let message = Bytes::from_static(&[0; 5]);
    let http = team.h2c();
    let mut watch = http.open_by(Method::POST, "/grpc.health.v1.Health/Watch", &headers, message).await;
    // SERVING.
    watch.until("\u{8}\u{1}").await;
    let path = format!("/tokens/{}", made["token"]["id"].as_str().unwrap());
    team.api.send(Method::DELETE, &path, "", Vec::new()).await.expect(StatusCode::NO_CONTENT);
    let text = watch.end().await;
    assert!(text.contains("\"grpc-status\": \"16\""), "{text:?}");
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_reports_why_following_ended() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.started("v1").await;
    team.api.act("v1", "publish").await.expect(StatusCode::OK);
    let person = Person::new();
    person.signs_in(&team.api.url(), "admin", PASSWORD).await.well();
    let mut follow = tokio::process::Command::from(person.command(&[
        "version",
        "logs",
        "v1",
        "asked",
        "--follow",
        "--runtime",
        "shop",
    ]));
    let follow = follow.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut follow = follow.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    // Stored records are printed only after all of them were read, so the second record arrives live.
    for _ in 0..2 {
        team.call("Name", json!({})).await.unwrap();
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(line.contains("asked"), "{line}");
    }
    let tokens = team.api.get("/tokens").await.json();
    let login = |token: &&Value| token["name"].as_str().unwrap().starts_with("krt login");
    let id = tokens.as_array().unwrap().iter().find(login).unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/tokens/{id}");
    team.api.send(Method::DELETE, &path, "", Vec::new()).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(follow.wait().await.unwrap().code(), Some(1));
    let mut stderr_text = String::new();
    follow.stderr.take().unwrap().read_to_string(&mut stderr_text).await.unwrap();
    assert_eq!(
        stderr_text,
        "error: the server ended the stream: the token was revoked\n\
         hint: sign in again with `krt login`, or use another token\n"
    );
    team.stop().await;
}
