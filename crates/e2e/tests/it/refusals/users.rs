//! Roles, tokens, sessions, and guessed passwords.

use super::{Snapshot, refused};
use crate::support::{
    http::Http,
    team::{Api, PASSWORD, Session, Team},
};
use futures::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tonic::{Code, Request};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A password that no user has.
const OTHER: &str = "another long password";

/// The method, path and role of every API operation.
async fn operations(team: &Team) -> Vec<(Method, String, String)> {
    let document = team.api.get("/openapi.json").await.expect(StatusCode::OK);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = [("{runtime}", "shop"), ("{version}", "v1"), ("{login}", "admin"), ("{id}", "x")]
            .iter()
            .fold(path.clone(), |path, (name, value)| path.replace(name, value))
            .replace(['{', '}'], "");
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            let Some(role) = operation["x-krt-role"].as_str() else { continue };
            operations.push((method, path.clone(), role.to_owned()));
        }
    }
    operations
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_restrict_users() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", "").await;
    let (viewer, manager) = (team.user("vera", "viewer").await, team.user("max", "manager").await);
    // The token limits what an admin may do.
    let new = json!({"name": "narrow", "role": "viewer"});
    let narrow = team.api.post("/tokens", new).await.expect(StatusCode::CREATED);
    let narrow = team.api.with_token(narrow["secret"].as_str().unwrap());
    let who = [("vera", "viewer", &viewer), ("admin", "viewer", &narrow), ("max", "manager", &manager)];
    let roles = ["viewer", "manager", "admin"];
    let rank = |role: &str| roles.iter().position(|other| *other == role).unwrap();

    let before = Snapshot::of(&team, data.path()).await;
    let (mut asked, mut unknown) = (0, 0);
    for (method, path, role) in operations(&team).await {
        if role == "none" {
            continue;
        }
        let body = b"{}".to_vec();
        let nobody =
            team.api.http().send(method.clone(), &format!("/api/v1{path}"), &[JSON], body.clone()).await;
        refused(&nobody, StatusCode::UNAUTHORIZED, "unauthenticated");
        unknown += 1;
        for (login, own, api) in who {
            if rank(own) < rank(&role) {
                let reply = api.send(method.clone(), &path, "application/json", body.clone()).await;
                let message = refused(&reply, StatusCode::FORBIDDEN, "forbidden");
                assert_eq!(
                    message,
                    format!("this needs the role {role}, `{login}` is {own}"),
                    "{method} {path}"
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 40 && unknown > 40, "{asked} {unknown}");
    assert_eq!(Snapshot::of(&team, data.path()).await, before);
    team.stop().await;
}

/// Whether the API accepts the identity.
async fn enters(api: &Api) -> bool {
    let reply = api.get("/runtimes").await;
    if reply.status == StatusCode::OK {
        return true;
    }
    refused(&reply, StatusCode::UNAUTHORIZED, "unauthenticated");
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.started("v1").await;
    let make = async |api: &Api, expires: Value| {
        let new = json!({"name": "a test", "role": "viewer", "expires": expires});
        let made = api.post("/tokens", new).await.expect(StatusCode::CREATED);
        let (id, secret) = (made["token"]["id"].clone(), made["secret"].as_str().unwrap().to_owned());
        (id.as_str().unwrap().to_owned(), team.api.with_token(&secret))
    };
    for forged in ["", "krt_", "krt_forged", "Bearer", "' OR 1=1 --", &"k".repeat(8000)] {
        assert!(!enters(&team.api.with_token(forged)).await, "{forged}");
    }
    let token = team.api.token();
    for value in [format!("Basic {token}"), token.to_owned(), "Bearer".to_owned(), format!("Bearer {token}x")]
    {
        let headers = [("authorization", &*value)];
        let reply = team.api.http().send(Method::GET, "/api/v1/runtimes", &headers, "").await;
        refused(&reply, StatusCode::UNAUTHORIZED, "unauthenticated");
    }

    // A token that expired before its creation, and one that expires in use.
    let (_, past) = make(&team.api, json!("2020-01-01T00:00:00Z")).await;
    assert!(!enters(&past).await);
    let (id, revoked) = make(&team.api, Value::Null).await;
    assert!(enters(&revoked).await);
    let deleted = team.api.send(Method::DELETE, &format!("/tokens/{id}"), "", Vec::new()).await;
    deleted.expect(StatusCode::NO_CONTENT);
    assert!(!enters(&revoked).await);
    // Nor does it give access to an unpublished version.
    let mut request = Request::new(json!({}));
    request.metadata_mut().insert("krt-version", "v1".parse().unwrap());
    request.metadata_mut().insert("authorization", format!("Bearer {}", revoked.token()).parse().unwrap());
    assert_eq!(team.client().call_by("Name", request).await.unwrap_err().code(), Code::Unauthenticated);

    // Its owner is disabled, demoted, deleted.
    let max = team.user("max", "manager").await;
    let change = async |change: Value| {
        let reply = team.api.send(Method::PATCH, "/users/max", "application/json", change.to_string().into());
        reply.await.expect(StatusCode::OK);
    };
    change(json!({"disabled": true})).await;
    assert!(!enters(&max).await);
    change(json!({"disabled": false, "role": "viewer"})).await;
    assert!(enters(&max).await);
    refused(&max.act("v1", "stop").await, StatusCode::FORBIDDEN, "forbidden");
    // Users cannot delete tokens of others.
    let tokens = team.api.get("/tokens").await.json();
    let own = tokens.as_array().unwrap().iter().find(|token| token["login"] == "admin").unwrap();
    let path = format!("/tokens/{}", own["id"].as_str().unwrap());
    refused(&max.send(Method::DELETE, &path, "", Vec::new()).await, StatusCode::NOT_FOUND, "not_found");
    let gone = team.api.send(Method::DELETE, "/users/max", "", Vec::new()).await;
    gone.expect(StatusCode::NO_CONTENT);
    assert!(!enters(&max).await);
    assert!(enters(&team.api).await);
    team.stop().await;
}

/// Sends a change, as a browser does.
async fn renames(http: &Http, cookie: &str, more: &[(&str, &str)]) -> crate::support::http::Reply {
    let headers = [&[JSON, ("cookie", cookie)], more].concat();
    let change = json!({"name": "Theirs"}).to_string();
    http.send(Method::PATCH, "/api/v1/runtimes/shop", &headers, change).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_and_belong_to_their_own_page() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let http = team.api.http();
    let (one, other) =
        (Session::open(http, "admin", PASSWORD).await, Session::open(http, "admin", PASSWORD).await);
    let before = Snapshot::of(&team, data.path()).await;
    // A page from elsewhere could send the cookie alone, at most.
    for csrf in [None, Some(""), Some("x"), Some(&*other.csrf), Some(&*one.cookie)] {
        let header: Vec<_> = csrf.iter().map(|csrf| ("x-csrf-token", *csrf)).collect();
        let message = refused(&renames(http, &one.cookie, &header).await, StatusCode::FORBIDDEN, "forbidden");
        assert_eq!(message, "the header `x-csrf-token` is not that of the session");
    }
    // Nor under a foreign name that resolves here, nor as a form.
    let right = ("x-csrf-token", &*one.csrf);
    let renamed = renames(http, &one.cookie, &[right, ("host", "evil.example.com")]).await;
    refused(&renamed, StatusCode::FORBIDDEN, "forbidden");
    let form = [("content-type", "text/plain"), ("cookie", &*one.cookie), right];
    let form = http.send(Method::PATCH, "/api/v1/runtimes/shop", &form, r#"{"name": "Theirs"}"#).await;
    refused(&form, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported");
    assert_eq!(Snapshot::of(&team, data.path()).await, before);

    let enters = async |cookie: &str| {
        let reply = http.send(Method::GET, "/api/v1/session", &[("cookie", cookie)], "").await;
        if reply.status != StatusCode::OK {
            refused(&reply, StatusCode::UNAUTHORIZED, "unauthenticated");
        }
        reply.status == StatusCode::OK
    };
    for forged in ["", "krt_session=", "krt_session=x", &one.cookie[..one.cookie.len() - 1]] {
        assert!(!enters(forged).await, "{forged}");
    }
    // Signed out, revoked by another user, ended by a new password.
    assert!(enters(&one.cookie).await);
    let out = [("cookie", &*one.cookie), right];
    http.send(Method::DELETE, "/api/v1/session", &out, "").await.expect(StatusCode::NO_CONTENT);
    assert!(!enters(&one.cookie).await);
    let sessions = team.api.get("/sessions").await.json();
    let path = format!("/sessions/{}", sessions[0]["id"].as_str().unwrap());
    team.api.send(Method::DELETE, &path, "", Vec::new()).await.expect(StatusCode::NO_CONTENT);
    assert!(!enters(&other.cookie).await);
    let (stays, ends) =
        (Session::open(http, "admin", PASSWORD).await, Session::open(http, "admin", PASSWORD).await);
    let change = json!({"current": PASSWORD, "new": OTHER}).to_string();
    let headers = [JSON, ("cookie", &*stays.cookie), ("x-csrf-token", &*stays.csrf)];
    let changed = http.send(Method::PUT, "/api/v1/session/password", &headers, change).await;
    changed.expect(StatusCode::NO_CONTENT);
    assert!(enters(&stays.cookie).await && !enters(&ends.cookie).await);
    let reply = http.post_json("/api/v1/session", &json!({"login": "admin", "password": PASSWORD})).await;
    assert_eq!(refused(&reply, StatusCode::UNAUTHORIZED, "unauthenticated"), "login or password is wrong");
    team.stop().await;
}

/// The number of failures before a delay: per user, and per address.
const FREE_PER_USER: usize = 8;
const FREE_IN_ALL: usize = 32;

/// Tries to sign in; returns whether the server checked the password.
async fn tries(http: &Http, login: &str, password: &str) -> bool {
    let reply = http.post_json("/api/v1/session", &json!({"login": login, "password": password})).await;
    if reply.status != StatusCode::TOO_MANY_REQUESTS {
        refused(&reply, StatusCode::UNAUTHORIZED, "unauthenticated");
        return true;
    }
    assert_eq!(refused(&reply, StatusCode::TOO_MANY_REQUESTS, "too_many"), "too many attempts failed");
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=120).contains(&seconds), "{seconds}");
    assert_eq!(reply.header("set-cookie"), "");
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sign_in_attempts_are_limited() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let sessions = team.api.get("/sessions").await.json();
    let begun = SystemTime::now();
    // Concurrently, each with another login: no more are checked than may fail.
    let clients: Vec<_> = (0..2 * FREE_IN_ALL).map(|_| team.api.http().again()).collect();
    let all = clients.iter().enumerate();
    let looked =
        join_all(all.map(async |(number, http)| tries(http, &format!("u{number}"), OTHER).await)).await;
    let looked = looked.into_iter().filter(|looked| *looked).count();
    // On a slow machine, one attempt may expire each quarter of a minute.
    let forgotten = usize::try_from(begun.elapsed().unwrap().as_secs() / 15).unwrap();
    assert!((FREE_IN_ALL..=FREE_IN_ALL + forgotten).contains(&looked), "{looked}");
    // The right password from the same address is delayed as well.
    assert!(
        begun.elapsed().unwrap() > Duration::from_secs(15)
            || !tries(team.api.http(), "admin", PASSWORD).await
    );

    assert_eq!(team.api.get("/sessions").await.json(), sessions);
    let audit = team.api.get("/audit?action=sign_in_failed&limit=100").await.json();
    let failed = audit["entries"].as_array().unwrap();
    assert_eq!(failed.len(), looked, "{audit}");
    assert!(failed.iter().all(|entry| entry["comment"] == "from 127.0.0.1"), "{audit}");
    assert!(!audit.to_string().contains(OTHER));
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn password_attempts_with_a_token_are_limited() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let begun = SystemTime::now();
    let change = json!({"current": OTHER, "new": "yet another password"});
    for _ in 0..FREE_PER_USER {
        let reply = team.api.put("/session/password", change.clone()).await;
        let message = refused(&reply, StatusCode::UNPROCESSABLE_ENTITY, "unprocessable");
        assert_eq!(message, "the current password is wrong");
    }
    let change = json!({"current": PASSWORD, "new": OTHER});
    let held = team.api.put("/session/password", change).await;
    if begun.elapsed().unwrap() < Duration::from_secs(60) {
        refused(&held, StatusCode::TOO_MANY_REQUESTS, "too_many");
        assert!(!tries(team.api.http(), "admin", PASSWORD).await);
    }
    team.stop().await;
}
