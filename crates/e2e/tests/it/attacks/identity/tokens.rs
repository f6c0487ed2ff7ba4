//! Tokens that outlive their parent, and roles with too many rights. Bound: such a token gives no access, by
//! any way to call a version or the API.

use crate::support::{
    http::{Http, Reply},
    person::Person,
    service::Service,
    team::{Api, PASSWORD, Team},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::{Code, Request};

/// A password other than the first one.
const OTHER: &str = "another long password";

/// Creates a token with another token.
async fn make(with: &Api, name: &str, role: &str) -> Api {
    let made = with.post("/tokens", json!({"name": name, "role": role})).await.expect(StatusCode::CREATED);
    with.with_token(made["secret"].as_str().unwrap())
}

async fn enters(api: &Api) -> bool {
    let status = api.get("/runtimes").await.status;
    assert!([StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&status), "{status}");
    status == StatusCode::OK
}

/// The user's token with a name.
async fn token(team: &Team, login: &str, name: &str) -> Option<Value> {
    let all = team.api.get("/tokens").await.expect(StatusCode::OK);
    let is = |token: &&Value| token["login"] == login && token["name"].as_str().unwrap().starts_with(name);
    all.as_array().unwrap().iter().find(is).cloned()
}

async fn delete(team: &Team, login: &str, name: &str) {
    let id = token(team, login, name).await.unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/tokens/{id}");
    team.api.send(Method::DELETE, &path, "", Vec::new()).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_with_the_login_that_created_them() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.user("grace", "manager").await;
    let person = Person::new();
    let login = ["login", &team.api.url(), "--user", "grace", "--expires", "1h"];
    person.pipes(&login, &format!("{PASSWORD}\n")).await.well();

    // It ends with the login's token, despite its longer lifetime, and the command says so.
    let create = ["token", "create", "deploy", "--role", "manager", "--expires", "90d"];
    let typed = person.types(&create).await;
    assert!(typed.err.contains("it ends with the token that made it, on 20"), "{typed:?}");
    assert!(typed.err.contains("at the latest\nhint: --password"), "{typed:?}");
    let deploy = team.api.with_token(typed.well().trim());
    let of_login = token(&team, "grace", "krt login").await.unwrap();
    let of_deploy = token(&team, "grace", "deploy").await.unwrap();
    assert_eq!((&of_deploy["expires"], &of_deploy["parent"]), (&of_login["expires"], &of_login["id"]));
    // The same applies to a token created with it, and so on.
    let next = make(&deploy, "next", "viewer").await;
    assert_eq!(token(&team, "grace", "next").await.unwrap()["expires"], of_login["expires"]);

    // With the password, it depends on no other token.
    let own = ["token", "create", "own", "--role", "viewer", "--expires", "90d", "--password"];
    let typed = person.pipes(&own, &format!("{PASSWORD}\n")).await;
    assert!(!typed.err.contains("it ends with"), "{typed:?}");
    let own = team.api.with_token(typed.well().trim());
    assert_eq!(token(&team, "grace", "own").await.unwrap()["parent"], Value::Null);

    // A new login keeps tokens created with the earlier one; a logout deletes them.
    let again = person.pipes(&login, &format!("{PASSWORD}\n")).await;
    assert!(again.err.contains("stays until it expires, for 1 that were made with it"), "{again:?}");
    assert!(enters(&deploy).await && enters(&next).await && enters(&own).await);
    let id = of_login["id"].as_str().unwrap().to_owned();
    person.types(&["token", "delete", &id]).await.well();
    assert!(!enters(&deploy).await && !enters(&next).await && enters(&own).await);
    let last = team.api.with_token(person.types(&create).await.well().trim());
    assert!(enters(&last).await);
    person.types(&["logout"]).await.well();
    assert!(!enters(&last).await && enters(&own).await);
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_older_sessions_and_tokens() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let old = team.user("grace", "manager").await;
    let person = Person::new();
    person.signs_in(&team.api.url(), "grace", PASSWORD).await.well();
    // A user changes their own password, first without ending tokens.
    let passwords = format!("{PASSWORD}\n{OTHER}\n");
    person.pipes(&["user", "password", "--keep-tokens"], &passwords).await.well();
    assert!(enters(&old).await);
    let passwords = format!("{OTHER}\n{PASSWORD}\n");
    let typed = person.pipes(&["user", "password"], &passwords).await;
    assert!(typed.err.contains("other sessions and tokens have ended"), "{typed:?}");
    assert!(!enters(&old).await);
    // The token that made the request stays valid.
    let token = person.types(&["token", "create", "x", "--role", "viewer"]).await.well();
    let token = team.api.with_token(token.trim());

    // An admin sets a new password.
    let admin = Person::new();
    admin.signs_in(&team.api.url(), "admin", PASSWORD).await.well();
    let reset = ["user", "change", "grace", "--password"];
    let keep = [&reset[..], &["--keep-tokens"]].concat();
    admin.pipes(&keep, &format!("{OTHER}\n")).await.well();
    assert!(enters(&token).await);
    admin.pipes(&reset, &format!("{OTHER}\n")).await.well();
    assert!(!enters(&token).await);
    assert!(person.types(&["version", "ls", "--runtime", "shop"]).await.why().contains("krt login"));
    team.stop().await;
}

/// The ways to call a version that is not published, with their answers.
struct Calls<'a> {
    service: &'a Service,
    http: Http,
    version: &'a str,
}

impl Calls<'_> {
    /// Over gRPC.
    async fn grpc(&self, token: &str) -> Result<(), Code> {
        let mut request = Request::new(json!({}));
        request.metadata_mut().insert("krt-version", self.version.parse().unwrap());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        self.service.client().call_by("Name", request).await.map(drop).map_err(|status| status.code())
    }

    /// Over Connect, in JSON or protobuf, over HTTP/1 or 2.
    async fn connect(&self, http: &Http, kind: &str, token: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("content-type", kind), ("krt-version", self.version), ("authorization", &*bearer)];
        let body = if kind.ends_with("json") { "{}" } else { "" };
        http.post("/names.Entrypoint/Name", &headers, body).await
    }

    /// Through the dashboard's form.
    async fn form(&self, api: &Api) -> StatusCode {
        let call = json!({"method": "/names.Entrypoint/Name", "message": {}});
        api.post(&format!("/runtimes/shop/versions/{}/call", self.version), call).await.status
    }

    /// Asserts the same answer for all of them.
    async fn all(&self, api: &Api, code: Code, status: StatusCode) {
        let token = api.token();
        let expected = if code == Code::Ok { Ok(()) } else { Err(code) };
        assert_eq!(self.grpc(token).await, expected, "{}", self.version);
        for http in [&self.http, &self.service.h2c()] {
            for kind in ["application/json", "application/proto"] {
                let reply = self.connect(http, kind, token).await;
                assert_eq!(reply.status, status, "{} {kind} {reply:?}", self.version);
            }
        }
        assert_eq!(self.form(api).await, status, "{}", self.version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_managers_call_unpublished_versions() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.started("v1").await;
    team.api.act("v1", "publish").await.expect(StatusCode::OK);
    team.started("v2").await;
    let v2 = Calls { service: &team, http: team.http(), version: "v2" };
    let (manager, viewer) = (team.user("max", "manager").await, team.user("vera", "viewer").await);
    let narrow = make(&manager, "narrow", "viewer").await;
    v2.all(&manager, Code::Ok, StatusCode::OK).await;
    for too_low in [&viewer, &narrow] {
        v2.all(too_low, Code::PermissionDenied, StatusCode::FORBIDDEN).await;
    }
    // Everyone may call the published version, also by its name; a client without a token may not name one.
    let v1 = Calls { version: "v1", ..v2 };
    assert_eq!(v1.grpc(viewer.token()).await, Ok(()));
    assert_eq!(v1.grpc("krt_forged").await, Err(Code::Unauthenticated));
    let v2 = Calls { version: "v2", ..v1 };
    v2.all(&team.api.with_token("krt_forged"), Code::Unauthenticated, StatusCode::UNAUTHORIZED).await;

    // After unpublishing, only managers may call it.
    team.api.act("v1", "unpublish").await.expect(StatusCode::OK);
    let v1 = Calls { version: "v1", ..v2 };
    v1.all(&viewer, Code::PermissionDenied, StatusCode::FORBIDDEN).await;
    let v2 = Calls { version: "v2", ..v1 };

    // Tokens whose owner was demoted, disabled or deleted, and an expired token.
    let change = async |change: Value| {
        let body = change.to_string().into();
        let changed = team.api.send(Method::PATCH, "/users/max", "application/json", body).await;
        changed.expect(StatusCode::OK);
    };
    change(json!({"role": "viewer"})).await;
    v2.all(&manager, Code::PermissionDenied, StatusCode::FORBIDDEN).await;
    change(json!({"role": "manager", "disabled": true})).await;
    v2.all(&manager, Code::Unauthenticated, StatusCode::UNAUTHORIZED).await;
    change(json!({"disabled": false})).await;
    v2.all(&manager, Code::Ok, StatusCode::OK).await;
    let old = json!({"name": "old", "role": "manager", "expires": "2020-01-01T00:00:00Z"});
    let old = manager.post("/tokens", old).await.expect(StatusCode::CREATED);
    let old = team.api.with_token(old["secret"].as_str().unwrap());
    v2.all(&old, Code::Unauthenticated, StatusCode::UNAUTHORIZED).await;
    let gone = make(&manager, "gone", "manager").await;
    delete(&team, "max", "gone").await;
    v2.all(&gone, Code::Unauthenticated, StatusCode::UNAUTHORIZED).await;
    team.api.send(Method::DELETE, "/users/max", "", Vec::new()).await.expect(StatusCode::NO_CONTENT);
    v2.all(&manager, Code::Unauthenticated, StatusCode::UNAUTHORIZED).await;
    team.stop().await;
}
