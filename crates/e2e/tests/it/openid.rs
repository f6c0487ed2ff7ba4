//! Sign-in with an OpenID provider.

use crate::support::{
    Krt, Service,
    http::{Http, Reply},
    team::{PASSWORD, dashboard, version},
};
use http::{Method, StatusCode};
use krt_servers::OpenIdServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The dashboard's URL for browsers.
const DASHBOARD: &str = "http://krt.test";

/// A server, its provider, and a browser that can reach both.
struct Fixture {
    service: Service,
    here: Http,
    provider: OpenIdServer,
    there: Http,
    _data: TempDir,
}

/// A browser on the provider's page.
struct SignIn {
    page: String,
    cookie: String,
}

impl Fixture {
    async fn open(test: &str) -> Option<Self> {
        let user = |name: &str, groups: &[&str]| json!({ "sub": format!("{name}-1"), "preferred_username": name, "groups": groups });
        let users = [user("ada", &["ops", "all"]), user("grace", &["guests"]), user("admin", &["ops"])];
        let provider = OpenIdServer::start(test, &users)?;
        let described = version("described", "");
        let data = tempfile::tempdir().unwrap();
        let krt = Krt::serve(described.path())
            .data(data.path())
            .env("KRT_ADMIN_PASSWORD", PASSWORD)
            .env("KRT_OPENID_SECRET", "of the client")
            .flag("--openid-issuer", &provider.issuer)
            .flag("--openid-client", "krt")
            .flag("--openid-name", "The lab")
            .flag("--openid-role", "admin=ops")
            .flag("--openid-default-role", "none")
            .flag("--dashboard-url", DASHBOARD);
        let service = krt.start().await;
        let here = dashboard(&service).await;
        let there = Http::one(provider.issuer.trim_start_matches("http://").parse().unwrap());
        Some(Self { service, here, provider, there, _data: data })
    }

    /// Opens the provider's page.
    async fn begin(&self) -> SignIn {
        let sent = get(&self.here, "/api/v1/session/openid?next=/runtimes", "").await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{sent:?}");
        let page = sent.header("location").strip_prefix(&self.provider.issuer).unwrap().to_owned();
        for part in ["client_id=krt", "code_challenge_method=S256", "nonce=", "scope=openid+profile+email"] {
            assert!(page.contains(part), "{page}");
        }
        let kept = sent.header("set-cookie");
        assert!(kept.contains("HttpOnly; SameSite=Lax"), "{kept}");
        SignIn { page, cookie: kept.split(';').next().unwrap().to_owned() }
    }

    /// Submits the provider's form; returns the redirect's path below the dashboard.
    async fn answer(&self, sent: &SignIn, form: &str) -> String {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let answer = self.there.post(&sent.page, &[kind], form.to_owned()).await;
        assert!(answer.status.is_redirection(), "{answer:?}");
        answer.header("location").strip_prefix(DASHBOARD).unwrap().to_owned()
    }

    async fn sign_in(&self, user: &str) -> Reply {
        let sent = self.begin().await;
        let back = self.answer(&sent, &format!("sub={user}-1")).await;
        get(&self.here, &back, &sent.cookie).await
    }
}

async fn get(http: &Http, path: &str, cookie: &str) -> Reply {
    http.send(Method::GET, path, &[("cookie", cookie)], Vec::new()).await
}

/// Asserts a page with the reason for a failed sign-in.
#[track_caller]
fn denied(reply: &Reply, status: StatusCode, why: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    let page = String::from_utf8_lossy(&reply.body);
    assert!(page.contains(why), "{page}");
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert!(cookies.iter().all(|cookie| !cookie.to_str().unwrap().contains("krt_session")), "{cookies:?}");
}

fn session(reply: &Reply) -> String {
    let cookies = reply.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("krt_session=")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_provider_signs_users_in() {
    let Some(fixture) = Fixture::open("a_provider_signs_users_in").await else { return };
    let server = get(&fixture.here, "/api/v1/server", "").await.json();
    assert_eq!(server["openid"], json!({ "name": "The lab" }));

    let back = fixture.sign_in("ada").await;
    assert_eq!((back.status, back.header("location")), (StatusCode::SEE_OTHER, "/runtimes"), "{back:?}");
    let me = get(&fixture.here, "/api/v1/session", &session(&back)).await.expect(StatusCode::OK);
    assert_eq!((&me["login"], &me["role"]), (&json!("ada"), &json!("admin")));
    // A second sign-in leads to the same user.
    let again = fixture.sign_in("ada").await;
    let users = get(&fixture.here, "/api/v1/users", &session(&again)).await.expect(StatusCode::OK);
    let users: Vec<_> =
        users.as_array().unwrap().iter().map(|user| (&user["login"], &user["openid"])).collect();
    assert_eq!(users, [(&json!("ada"), &Value::Bool(true)), (&json!("admin"), &Value::Bool(false))]);
    let ended = fixture.service.stop().await;
    assert!(!ended.lines.text().contains("of the client"), "secrets are in no log");
}

#[tokio::test]
async fn users_rejected_by_a_provider() {
    let Some(fixture) = Fixture::open("users_rejected_by_a_provider").await else { return };
    denied(&fixture.sign_in("grace").await, StatusCode::FORBIDDEN, "None of your groups");
    // A name at the provider gives no access to an existing account.
    denied(&fixture.sign_in("admin").await, StatusCode::FORBIDDEN, "There is a user `admin` already");

    let sent = fixture.begin().await;
    let refused = fixture.answer(&sent, "action=deny").await;
    // This provider omits the state, which RFC 6749 (4.1.2.1) requires.
    let state = sent.page.split(['?', '&']).find(|pair| pair.starts_with("state=")).unwrap();
    let refused = format!("{refused}&{state}&error_description=call+555+now&error=call+555+now");
    let reply = get(&fixture.here, &refused, &sent.cookie).await;
    denied(&reply, StatusCode::FORBIDDEN, "did not let you in");
    assert!(!String::from_utf8_lossy(&reply.body).contains("555"), "{reply:?}");
    // A refusal, too, is accepted once, and in its own browser only.
    denied(
        &get(&fixture.here, &refused, &sent.cookie).await,
        StatusCode::FORBIDDEN,
        "not begun in this browser",
    );

    let sent = fixture.begin().await;
    let back = fixture.answer(&sent, "sub=ada-1").await;
    for cookie in ["", "krt_openid=another's", &fixture.begin().await.cookie] {
        denied(&get(&fixture.here, &back, cookie).await, StatusCode::FORBIDDEN, "not begun in this browser");
    }
    session(&get(&fixture.here, &back, &sent.cookie).await);
    denied(
        &get(&fixture.here, &back, &sent.cookie).await,
        StatusCode::FORBIDDEN,
        "not begun in this browser",
    );

    let sent = fixture.begin().await;
    let back = fixture.answer(&sent, "sub=ada-1").await;
    let forged = back.replace("code=", "code=forged");
    denied(
        &get(&fixture.here, &forged, &sent.cookie).await,
        StatusCode::BAD_GATEWAY,
        "the server's log says more",
    );

    let sent = fixture.begin().await;
    let back = fixture.answer(&sent, "sub=ada-1").await;
    let Fixture { service, here, provider, _data, .. } = fixture;
    drop(provider);
    denied(&get(&here, &back, &sent.cookie).await, StatusCode::BAD_GATEWAY, "cannot be asked");
    service.stop().await;
}
