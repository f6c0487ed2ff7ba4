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

fn wish(runtime: Option<&str>, host: Option<&str>) -> Wish {
    Wish { runtime: runtime.map(str::to_owned), version: None, host: host.map(str::to_owned) }
}

#[test]
fn which_runtime_a_request_is_for() {
    let only = Table { published: HashMap::from([("shop".to_owned(), "v1".to_owned())]), ..table() };
    let empty = Table { published: HashMap::new(), ..Table::default() };
    let rows = [
        (table(), wish(Some("bank"), None), Ok("bank")),
        (table(), wish(Some("bank"), Some("shop.example.com")), Ok("bank")),
        (table(), wish(None, Some("shop.example.com")), Ok("shop")),
        (table(), wish(Some("nothing"), None), Err(Code::Unavailable)),
        (table(), wish(None, None), Err(Code::InvalidArgument)),
        (table(), wish(None, Some("127.0.0.1")), Err(Code::InvalidArgument)),
        (only, wish(None, Some("127.0.0.1")), Ok("shop")),
        (empty, wish(None, None), Err(Code::Unavailable)),
    ];
    for (table, wish, expected) in rows {
        let found = table.runtime(&wish).map_err(|status| status.code());
        assert_eq!(found, expected, "{wish:?}");
    }
}

#[test]
fn who_names_a_version_is_led_to_what_runs() {
    let mut table = Table::default();
    table.started.insert("shop".to_owned(), HashMap::new());
    let named = Wish { version: Some("v2".to_owned()), ..wish(None, None) };
    assert_eq!(table.runtime(&named).unwrap(), "shop");
    assert!(table.runtime(&wish(None, None)).is_err());
}

#[test]
fn what_is_published_but_does_not_run_is_said() {
    let refused = table().find(&wish(Some("shop"), None)).unwrap_err();
    assert_eq!(refused.message(), "the version `v1` of the runtime `shop` does not run");
}

#[test]
fn what_a_request_says() {
    let request = |uri: &str, headers: &[(&'static str, &str)]| {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Wish::of(&request.body(()).unwrap())
    };
    assert_eq!(request("/a.B/C", &[("host", "Shop.example.com:9000")]), wish(None, Some("shop.example.com")));
    assert_eq!(request("http://[::1]:9000/a.B/C", &[]), wish(None, Some("[::1]")));
    assert_eq!(request("/a.B/C", &[("krt-runtime", "bank")]), wish(Some("bank"), None));
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
