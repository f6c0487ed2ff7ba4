use super::*;
use tonic::Code;

fn table() -> Table {
    let text = |text: &str| text.to_owned();
    Table {
        started: HashMap::new(),
        published: HashMap::from([(text("shop"), text("v1")), (text("bank"), text("v9"))]),
        hosts: HashMap::from([(text("shop.example.com"), text("shop"))]),
    }
}

fn target(runtime: Option<&str>, host: Option<&str>) -> RouteTarget {
    RouteTarget { runtime: runtime.map(str::to_owned), version: None, host: host.map(str::to_owned) }
}

#[test]
fn runtimes_of_requests() {
    let only = Table { published: HashMap::from([("shop".to_owned(), "v1".to_owned())]), ..table() };
    let empty = Table { published: HashMap::new(), ..Table::default() };
    let rows = [
        (table(), target(Some("bank"), None), Ok("bank")),
        (table(), target(Some("bank"), Some("shop.example.com")), Ok("bank")),
        (table(), target(None, Some("shop.example.com")), Ok("shop")),
        (table(), target(Some("nothing"), None), Err(Code::Unavailable)),
        (table(), target(None, None), Err(Code::InvalidArgument)),
        (table(), target(None, Some("127.0.0.1")), Err(Code::InvalidArgument)),
        (only, target(None, Some("127.0.0.1")), Ok("shop")),
        (empty, target(None, None), Err(Code::Unavailable)),
    ];
    for (table, target, expected) in rows {
        let found = table.runtime(&target).map_err(|status| status.code());
        assert_eq!(found, expected, "{target:?}");
    }
}

#[test]
fn a_named_version_selects_the_only_runtime() {
    let mut table = Table::default();
    table.started.insert("shop".to_owned(), HashMap::new());
    let named = RouteTarget { version: Some("v2".to_owned()), ..target(None, None) };
    assert_eq!(table.runtime(&named).unwrap(), "shop");
    assert!(table.runtime(&target(None, None)).is_err());
}

#[tokio::test]
async fn starting_versions_are_reported() {
    let directory = Directory::new(Box::new(|_| Box::pin(async { None })));
    directory.expect("shop", "v1", true);
    directory.expect("shop", "v2", true);
    directory.expect("bank", "v1", false);
    let found = |runtime, version: Option<&str>| {
        let target = RouteTarget { version: version.map(str::to_owned), ..target(Some(runtime), None) };
        match directory.read().find(&target, VersionScope::Everything) {
            Ok(FoundVersion::Starting(status)) => (true, status.message().to_owned()),
            Ok(FoundVersion::Running(_)) => panic!("nothing is there"),
            Err(status) => (false, status.message().to_owned()),
        }
    };
    let starting =
        |version: &str| (true, format!("the version `{version}` of the runtime `shop` is starting"));
    assert_eq!(found("shop", None), starting("v1"));
    assert_eq!(found("shop", Some("v2")), starting("v2"));
    assert_eq!(found("bank", None), (false, "no version of the runtime `bank` is published".to_owned()));
    assert!(directory.lease("shop", "v1").is_none());
    directory.remove("shop", "v1").await;
    assert_eq!(found("shop", None), (false, "no version of the runtime `shop` is published".to_owned()));
}

#[test]
fn published_versions_that_do_not_run_are_reported() {
    let refused = table().find(&target(Some("shop"), None), VersionScope::Published).unwrap_err();
    assert_eq!(refused.message(), "the version `v1` of the runtime `shop` does not run");
}

#[test]
fn access_to_named_versions() {
    let named =
        |version: &str| RouteTarget { version: Some(version.to_owned()), ..target(Some("shop"), None) };
    let rows = [
        // Only holders of the right to name a version learn that it does not run.
        (named("v1"), VersionScope::Everything, Code::Unavailable),
        (named("v2"), VersionScope::Everything, Code::Unavailable),
        (named("v1"), VersionScope::Published, Code::Unavailable),
        (named("v2"), VersionScope::Published, Code::PermissionDenied),
        (named("v1"), VersionScope::Nothing, Code::Unauthenticated),
        (named("v2"), VersionScope::Nothing, Code::Unauthenticated),
        (target(Some("shop"), None), VersionScope::Nothing, Code::Unavailable),
    ];
    for (target, scope, expected) in rows {
        let refused = table().find(&target, scope).unwrap_err();
        assert_eq!(refused.code(), expected, "{target:?} {scope:?}");
    }
}

#[test]
fn targets_of_requests() {
    let request = |uri: &str, headers: &[(&'static str, &str)]| {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        RouteTarget::of(&request.body(()).unwrap())
    };
    assert_eq!(
        request("/a.B/C", &[("host", "Shop.example.com:9000")]),
        target(None, Some("shop.example.com"))
    );
    assert_eq!(request("http://[::1]:9000/a.B/C", &[]), target(None, Some("[::1]")));
    assert_eq!(request("/a.B/C", &[("krt-runtime", "bank")]), target(Some("bank"), None));
    let version = request("/a.B/C", &[("krt-version", "v2")]).version;
    assert_eq!(version.as_deref(), Some("v2"));
}

#[test]
fn tokens_in_headers() {
    assert_eq!(bearer("Bearer abc"), Some("abc"));
    assert_eq!(bearer("bearer  abc "), Some("abc"));
    assert_eq!(bearer("Basic abc"), None);
    assert_eq!(bearer("Bearer"), None);
}
