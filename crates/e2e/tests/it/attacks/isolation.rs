//! Versions on a team's server that try to access other data.

use crate::support::{
    Krt, eventually,
    grpc::Client,
    krt::packages,
    processes,
    team::{Team, packed},
};
use http::StatusCode;
use krt_servers::skipped;
use rustix::process::getuid;
use serde_json::json;
use std::{os::unix::fs::chown, path::Path, process::Command, time::Duration};
use tempfile::TempDir;

/// The id of a user other than root.
const NOBODY: u32 = 65_534;

/// How long all dependencies of a package may take, which is built without any cache.
const BUILD_TIMEOUT: Duration = Duration::from_secs(1200);
/// The interval of looks at a build.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

const SECRET: &str = "s3cret-s3cret";

/// A team's server that runs the spy.
struct Fixture {
    team: Team,
    client: Client,
    data: TempDir,
    _cache: TempDir,
}

impl Fixture {
    async fn start(flags: &[&str], user: Option<u32>) -> Self {
        let (data, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let package = packages().join("spy");
        let mut krt = Krt::serve(&package);
        for flag in flags {
            krt = krt.bare(flag);
        }
        krt = krt.env("KRT_CACHE", cache.path()).env("HOME", cache.path());
        krt = krt.env("AWS_SECRET_ACCESS_KEY", SECRET).env("SPY_NAMED", "named");
        if let Some(user) = user {
            for folder in [&data, &cache] {
                chown(folder.path(), Some(user), Some(user)).unwrap();
            }
            let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
            krt = krt.started_by("setpriv", &[&user, &group, "--clear-groups"]);
        }
        let team = Team::started_by(krt, data.path()).await;
        let shop = json!({"id": "shop", "name": "The shop"});
        team.api.post("/runtimes", shop).await.expect(StatusCode::CREATED);
        let client = publish(&team, &package, "spy-v1").await;
        Self { team, client, data, _cache: cache }
    }

    /// Asserts the restrictions of installers, which run code of the package.
    async fn its_installers_see_only_its_own(&self, user: u32) {
        let package = packages().join("intruder");
        let client = publish(&self.team, &package, "intruder-v1").await;
        let seen = client.call("Look", json!({})).await.unwrap();
        let seen = |what: &str| seen["results"][what].as_str().unwrap().to_owned();
        for hidden in ["registry", "password"] {
            assert!(["FileNotFoundError", "PermissionError"].contains(&&*seen(hidden)), "{}", seen(hidden));
        }
        assert_eq!(seen("who"), user.to_string());
        assert_eq!((&*seen("data"), &*seen("versions")), ("runtimes", "intruder-v1"));
        assert!(["OSError", "PermissionError"].contains(&&*seen("package")), "{}", seen("package"));
        assert_eq!((&*seen("home"), &*seen("secret")), ("", "not set"));
        let processes: u32 = seen("processes").parse().unwrap();
        assert!(processes <= 8, "its own, its installer's and its guard's: {processes}");
        assert_eq!(seen("daemon"), "left");
        assert!(!processes::runs(&format!("sleep 86398.{user}")), "it ended with its build");

        // What was made is used again, by another user.
        self.team.api.act("intruder-v1", "unpublish").await.expect(StatusCode::OK);
        self.team.api.act("intruder-v1", "stop").await.expect(StatusCode::ACCEPTED);
        self.team.until("intruder-v1", "STOPPED").await;
        let client = publish_again(&self.team, &package, "intruder-v1").await;
        assert_eq!(client.call("Look", json!({})).await.unwrap()["results"]["who"], user.to_string());
    }

    async fn try_to(&self, act: &str, text: impl AsRef<Path>) -> String {
        let order = json!({ "act": act, "text": text.as_ref().to_str().unwrap() });
        let look = async || self.client.call("Look", order.clone()).await.ok();
        let seen = eventually("the spy answers", look).await;
        seen["text"].as_str().unwrap().to_owned()
    }

    /// Asserts the restrictions of every isolated version.
    async fn sees_only_its_own(&self) {
        let data = self.data.path().canonicalize().unwrap();
        for path in [data.join("registry.db"), data.join("admin-password"), "/proc/1/mem".into()] {
            let seen = self.try_to("read", &path).await;
            assert!(["FileNotFoundError", "PermissionError"].contains(&&*seen), "{}: {seen}", path.display());
        }
        assert_eq!(self.try_to("list", &data).await, "runtimes", "the way to its own package");
        let package = data.join("runtimes/shop/versions/spy-v1");
        let own = self.try_to("environment", "KRT_BASE_PATH").await;
        assert!(Path::new(&own).starts_with(&package), "{own}");
        assert!(self.try_to("read", Path::new(&own).join("krt.yml")).await.parse::<u32>().unwrap() > 0);
        for place in [Path::new(&own).join("bin/spy"), Path::new("/etc/hosts").to_owned()] {
            let seen = self.try_to("write", &place).await;
            assert!(["OSError", "PermissionError"].contains(&&*seen), "{}: {seen}", place.display());
        }
        assert_eq!(self.try_to("rights", "").await, "0000000000000000");
        let processes = self.try_to("processes", "").await;
        assert!(processes.split(' ').count() <= 2, "itself, and perhaps its guard: {processes}");
        let engine = self.team.pid().to_string();
        assert_ne!(self.try_to("kill", &engine).await, "killed");
        for own in ["temporary", "home"] {
            assert_eq!(self.try_to(own, "mine").await, "4", "{own}");
        }
        assert!(!Path::new("/tmp/mine").exists(), "its files are nobody else's");
    }

    async fn sees_no_environment(&self) {
        assert_eq!(self.try_to("environment", "AWS_SECRET_ACCESS_KEY").await, "not set");
        assert_eq!(self.try_to("environment", "KRT_ADMIN_PASSWORD").await, "not set");
        assert_eq!(self.try_to("environment", "SPY_NAMED").await, "named");
        assert_ne!(self.try_to("environment", "PATH").await, "not set");
        for pid in processes::below(self.team.pid()) {
            let seen = processes::environment(pid);
            assert!(seen.iter().all(|variable| !variable.contains(SECRET)), "{pid}: {seen:?}");
        }
    }
}

/// Waits until a version that has to be built is no longer starting.
async fn built(team: &Team, version: &str) {
    let state = async || {
        let version = team.api.get(&format!("/runtimes/shop/versions/{version}")).await.json();
        version["state"].as_str().unwrap().to_owned()
    };
    let starts = async {
        while state().await == "STARTING" {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    let ended = tokio::time::timeout(BUILD_TIMEOUT, starts).await;
    assert!(ended.is_ok(), "{version} is still being built");
}

/// Uploads, starts and publishes a version.
async fn publish(team: &Team, package: &Path, version: &str) -> Client {
    team.api.upload(packed(package)).await.expect(StatusCode::CREATED);
    publish_again(team, package, version).await
}

async fn publish_again(team: &Team, package: &Path, version: &str) -> Client {
    team.api.act(version, "start").await.expect(StatusCode::ACCEPTED);
    team.until(version, "STARTED").await;
    team.api.act(version, "publish").await.expect(StatusCode::OK);
    Client::new(package, team.address)
}

/// What a server of root must be able to do to isolate versions.
pub(crate) const OF_ROOT: [&str; 6] = ["unshare", "-m", "-p", "-f", "--mount-proc", "true"];

/// Whether a command succeeds; otherwise the test is skipped.
pub(crate) fn may(test: &str, words: &[&str]) -> bool {
    let tried = Command::new(words[0]).args(&words[1..]).output();
    let may = tried.is_ok_and(|tried| tried.status.success());
    if !may {
        skipped(test, &words.join(" "));
    }
    may
}

#[tokio::test]
async fn versions_see_only_variables_named_in_krt_yml() {
    let fixture = Fixture::start(&[], None).await;
    fixture.sees_no_environment().await;
    fixture.team.stop().await;
}

#[tokio::test]
async fn isolated_versions_of_a_root_server_have_their_own_user() {
    const TEST: &str = "isolated_versions_of_a_root_server_have_their_own_user";
    if !getuid().is_root() || !may(TEST, &OF_ROOT) {
        return;
    }
    let fixture = Fixture::start(&["--isolate", "--isolate-users=300000"], None).await;
    assert_eq!(fixture.try_to("who", "").await, "300000 300000 []");
    fixture.sees_only_its_own().await;
    fixture.sees_no_environment().await;
    fixture.its_installers_see_only_its_own(300_001).await;
    fixture.team.stop().await;
}

#[tokio::test]
async fn isolated_versions_of_other_servers_use_a_user_namespace() {
    const TEST: &str = "isolated_versions_of_other_servers_use_a_user_namespace";
    let words = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "unshare",
        "-Urmpf",
        "--mount-proc",
        "true",
    ];
    let user = getuid().is_root().then_some(NOBODY);
    if !may(TEST, if user.is_some() { &words } else { &words[4..] }) {
        return;
    }
    let fixture = Fixture::start(&["--isolate"], user).await;
    fixture.sees_only_its_own().await;
    fixture.sees_no_environment().await;
    fixture.its_installers_see_only_its_own(user.unwrap_or_else(|| getuid().as_raw())).await;
    fixture.team.stop().await;
}

/// Compilers get their own caches below the version's folder, and the toolchains below the server's home.
#[tokio::test]
async fn isolated_versions_are_built_from_go_and_rust() {
    const TEST: &str = "isolated_versions_are_built_from_go_and_rust";
    if !getuid().is_root() || !may(TEST, &OF_ROOT) {
        return;
    }
    let (data, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let krt = Krt::serve(&packages().join("chain-go")).env("KRT_CACHE", cache.path());
    let krt = krt.bare("--isolate").bare("--isolate-users=300000");
    let team = Team::started_by(krt, data.path()).await;
    let shop = json!({"id": "shop", "name": "The shop"});
    team.api.post("/runtimes", shop).await.expect(StatusCode::CREATED);
    for name in ["chain-go", "chain-rust"] {
        let (package, version) = (packages().join(name), format!("{name}-v1"));
        team.api.upload(packed(&package)).await.expect(StatusCode::CREATED);
        team.api.act(&version, "start").await.expect(StatusCode::ACCEPTED);
        built(&team, &version).await;
        team.until(&version, "STARTED").await;
        team.api.act(&version, "publish").await.expect(StatusCode::OK);
        let client = Client::new(&package, team.address);
        let answer = client.call("Run", json!({ "text": "isolated" })).await.unwrap();
        assert_eq!(answer, json!({ "text": "isolated one two three" }), "{name}");
    }
    team.stop().await;
}

#[tokio::test]
async fn a_server_unable_to_isolate_does_not_start() {
    const TEST: &str = "a_server_unable_to_isolate_does_not_start";
    let drop_all = ["--bounding-set=-all", "--inh-caps=-all"];
    if !getuid().is_root() || !may(TEST, &["setpriv", drop_all[0], drop_all[1], "true"]) {
        return;
    }
    let krt = Krt::serve(&packages().join("spy")).bare("--isolate").started_by("setpriv", &drop_all);
    let ended = krt.end().await;
    assert_eq!(ended.code, Some(1));
    let words = ended.lines.last_message();
    assert!(words.starts_with("versions cannot be isolated here: "), "{words}");
    assert!(words.contains("hint: root needs the capabilities SYS_ADMIN"), "{words}");
}
