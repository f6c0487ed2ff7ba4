use super::*;
use http::{Response, header::VARY};
use krt_model::hint;

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
    let request = Request::builder().method(method).uri(uri);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap()
}

fn rules(hosts: &[&str], origins: &[&str]) -> Rules {
    let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    Rules {
        hosts: Hosts::of(([127, 0, 0, 1], 9000).into(), hosts),
        origins: origins.iter().map(|origin| origin.parse::<Allowed>().unwrap()).collect(),
    }
}

#[test]
fn names_of_the_loopback() {
    for good in [
        "localhost",
        "LOCALHOST:9001",
        "127.0.0.1:80",
        "[::1]:9001",
        "[::1]",
        "127.1.2.3",
        "[::ffff:127.0.0.1]:80",
    ] {
        assert!(is_loopback(good), "{good}");
    }
    for bad in [
        "example.com",
        "localhost.example.com:80",
        "127.0.0.1.example.com",
        "0.0.0.0:9001",
        "10.0.0.1",
        "[::2]:80",
        "[127.0.0.1]",
        "[::1]x",
        "localhost:x",
        "me@localhost",
        "localhost, evil.example",
        "",
    ] {
        assert!(!is_loopback(bad), "{bad}");
    }
}

#[test]
fn every_name_of_a_request_counts() {
    let rules = rules(&["Shop.Local", "[fe80::1]"], &[]);
    let known = |host: &str| host == "runtime.example";
    let admitted = |uri: &str, hosts: &[&str]| {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        rules.hosts.check(&request("POST", uri, &headers), known).is_ok()
    };
    for (uri, hosts) in [
        ("/", &["localhost:9000"][..]),
        ("/", &["shop.local:80"]),
        ("/", &["[FE80::1]:80"]),
        ("/", &["Runtime.example"]),
        ("http://127.0.0.1:9000/", &[]),
        ("http://127.0.0.1:9000/", &["localhost"]),
        // Clients that are no browsers: without a name, or with the path of a socket.
        ("/", &[]),
        ("/", &[""]),
        ("/", &["%2Ftmp%2Fkrt.sock"]),
    ] {
        assert!(admitted(uri, hosts), "{uri} {hosts:?}");
    }
    for (uri, hosts) in [
        ("/", &["evil.example:9000"][..]),
        ("http://evil.example/", &[]),
        ("http://evil.example/", &["localhost"]),
        ("http://localhost/", &["evil.example"]),
        ("/", &["localhost", "evil.example"]),
        ("/", &["sub.shop.local"]),
    ] {
        assert!(!admitted(uri, hosts), "{uri} {hosts:?}");
    }
    let anywhere = Hosts::of(([0, 0, 0, 0], 9000).into(), Vec::new());
    assert_eq!(anywhere.check(&request("POST", "http://evil.example/", &[]), |_| false), Ok(()));
}

/// A request's method and headers, and its sender.
type Row<'r> = (&'r str, &'r [(&'r str, &'r str)], Sender<'r>);

#[test]
fn senders() {
    let host = ("host", "localhost:9000");
    let rows: &[Row<'_>] = &[
        ("POST", &[host], Sender::Own),
        ("POST", &[host, ("origin", "http://localhost:9000")], Sender::Own),
        ("POST", &[host, ("origin", "https://LOCALHOST:9000")], Sender::Own),
        ("POST", &[host, ("origin", "http://localhost:3000")], Sender::Page("http://localhost:3000")),
        ("POST", &[host, ("origin", "null")], Sender::Page("null")),
        ("POST", &[host, ("origin", "")], Sender::Page("")),
        ("POST", &[host, ("origin", "https://a"), ("sec-fetch-site", "none")], Sender::Page("https://a")),
        ("GET", &[host, ("sec-fetch-site", "none")], Sender::Own),
        // A proxy writes its own name for this port.
        ("POST", &[host, ("origin", "https://a"), ("sec-fetch-site", "same-origin")], Sender::Own),
        ("GET", &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], Sender::Unnamed),
        ("GET", &[host, ("sec-fetch-site", "same-site")], Sender::Unnamed),
        ("GET", &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], Sender::Link),
        ("POST", &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], Sender::Unnamed),
        (
            "GET",
            &[
                host,
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
            Sender::Unnamed,
        ),
    ];
    for (method, headers, expected) in rows {
        assert_eq!(Sender::of(&request(method, "/", headers)), *expected, "{method} {headers:?}");
    }
}

#[test]
fn origins_are_written_as_browsers_write_them() {
    let origin = |text: &str| Ok(Allowed::Origin(text.to_owned()));
    for (typed, expected) in [
        ("*", Ok(Allowed::All)),
        ("https://App.example.com", origin("https://app.example.com")),
        ("https://app.example.com:443/", origin("https://app.example.com")),
        ("http://[::1]:80", origin("http://[::1]")),
        ("http://app.example.com:443", origin("http://app.example.com:443")),
        ("chrome-extension://abc", origin("chrome-extension://abc")),
    ] {
        assert_eq!(typed.parse::<Allowed>(), expected, "{typed}");
    }
    for bad in
        ["", "null", "app.example.com", "https://a.example/b", "https://me@a.example", "https://*.example"]
    {
        assert!(bad.parse::<Allowed>().is_err(), "{bad}");
    }
    for bad in ["", "*", "a.example:80", "http://a.example", "a..example", "a b"] {
        assert!(bad.parse::<HostName>().is_err(), "{bad}");
    }
}

/// Returns the headers of the answer to a page, or the refusal.
fn answered(origins: &[&str], method: &str, headers: &[(&str, &str)]) -> Result<Vec<String>, Refused> {
    let all = [&[("host", "localhost:9000")], headers].concat();
    let cors = rules(&[], origins).check(&request(method, "/a.B/C", &all), |_| false)?;
    let Some(cors) = cors else { return Ok(Vec::new()) };
    let mut response: Response<String> = match cors.is_preflight() {
        true => cors.preflight(),
        false => Response::default(),
    };
    if !cors.is_preflight() {
        cors.share(response.headers_mut());
    }
    let names = response.headers().keys().map(http::HeaderName::as_str);
    let of = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(of(VARY.as_str()), "origin");
    let mut found: Vec<_> = names.map(str::to_owned).collect();
    found.sort();
    found.push(of("access-control-allow-origin"));
    Ok(found)
}

#[test]
fn allowed_pages_get_cors_headers() {
    const ORIGIN: &str = "https://app.example.com";
    let (page, asks) = (("origin", ORIGIN), ("access-control-request-method", "POST"));
    let [allow, credentials, expose] =
        ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"]
            .map(str::to_owned);
    let vary = "vary".to_owned();
    let named = vec![credentials.clone(), allow.clone(), expose.clone(), vary.clone(), ORIGIN.to_owned()];
    assert_eq!(answered(&[ORIGIN], "POST", &[page]), Ok(named.clone()));
    assert_eq!(answered(&["*", ORIGIN], "POST", &[page]), Ok(named));
    let all = vec![allow.clone(), expose, vary.clone(), "*".to_owned()];
    assert_eq!(answered(&["*"], "POST", &[page]), Ok(all));
    let preflight = answered(&["*"], "OPTIONS", &[page, asks]).unwrap();
    assert!(preflight.contains(&"access-control-allow-headers".to_owned()), "{preflight:?}");
    assert!(!preflight.contains(&credentials), "{preflight:?}");
    for origins in [&[][..], &["https://other.example"], &["http://app.example.com"]] {
        for method in ["POST", "GET", "OPTIONS"] {
            let refused = answered(origins, method, &[page, asks]).unwrap_err();
            assert_eq!(refused, Refused::Origin { origin: ORIGIN.to_owned() }, "{origins:?} {method}");
            assert!(hint::line(&refused).contains("--allow-origin https://app.example.com"), "{refused}");
        }
    }
    let image = [("sec-fetch-site", "cross-site")];
    assert_eq!(answered(&[ORIGIN], "GET", &image), Err(Refused::CrossSite));
    assert_eq!(answered(&["*"], "GET", &image), Ok(Vec::new()));
}
