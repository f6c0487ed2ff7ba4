//! `krt call` on servers.

use crate::{
    shop::{Reflection, Shop},
    support::{CommandOutput, Folder, krt, run_with},
};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Stdio,
    thread,
};

fn call_with(address: SocketAddr, arguments: &[&str], input: &str) -> CommandOutput {
    let mut command = krt();
    command.arg("call").args(["--address", &address.to_string()]).args(arguments);
    run_with(command, input)
}

fn call(shop: &Shop, arguments: &[&str]) -> CommandOutput {
    call_with(shop.address, arguments, "")
}

/// The answer, which must be the only output.
fn answer(shop: &Shop, arguments: &[&str]) -> Value {
    let ended = call(shop, arguments);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The error; there must be no answer.
fn error(shop: &Shop, arguments: &[&str]) -> String {
    let ended = call(shop, arguments);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{arguments:?}");
    ended.stderr
}

#[test]
fn methods_are_listed_with_examples() {
    let shop = Shop::open(Reflection::BOTH);
    let listed = call(&shop, &[]);
    assert_eq!((listed.code, &*listed.stderr), (Some(0), ""));
    assert_snapshot!(listed.stdout);
    assert_eq!(call(&shop, &["--list"]).stdout, listed.stdout);
    let one = call(&shop, &["--list", "Headers"]).stdout;
    assert_eq!(one.lines().count(), 2);
    assert!(listed.stdout.contains(&one));
    assert_eq!(shop.calls(), 0);
}

#[test]
fn messages_of_a_stream_are_printed_as_they_come() {
    let shop = Shop::open(Reflection::BOTH);
    let lines = "{\"item\":\"tea\",\"cents\":\"1\"}\n{\"item\":\"tea\",\"cents\":\"2\"}\n";
    let whole = call(&shop, &["Watch", r#"{"item": "tea", "count": 2}"#]);
    assert_eq!((whole.code, &*whole.stdout, &*whole.stderr), (Some(0), lines, ""));

    let failed = call(&shop, &["Watch", r#"{"item": "unknown", "count": 2}"#]);
    assert_eq!((failed.code, &*failed.stdout), (Some(1), &*lines.replace("tea", "unknown")));
    assert!(failed.stderr.contains("INTERNAL: error in 'etl': no such item"), "{}", failed.stderr);

    let late = call(&shop, &["Watch", r#"{"item": "never", "count": 2}"#, "--timeout", "500ms"]);
    assert_eq!((late.code, &*late.stdout), (Some(1), &*lines.replace("tea", "never")));
    assert!(late.stderr.contains("DEADLINE_EXCEEDED: no answer within 0.5 s"), "{}", late.stderr);
}

#[test]
fn a_method_has_many_names() {
    let shop = Shop::open(Reflection::BOTH);
    for name in ["Entrypoint/Price", "shop.v1.Entrypoint/Price", "shop.v1.Entrypoint.Price"] {
        let answer = answer(&shop, &[name, r#"{"item": "tea", "count": 2}"#]);
        assert_eq!(answer, json!({"item": "tea", "cents": "500", "at": "1970-01-01T00:00:00Z"}));
    }
    let expected = "error: `Price` may be `shop.v1.Admin/Price` or `shop.v1.Entrypoint/Price`\n\
                    hint: say which, with its service\n";
    assert_eq!(error(&shop, &["Price"]), expected);
    assert_eq!(
        error(&shop, &["header"]),
        "error: there is no method `header`\nhint: did you mean `Headers`?\n"
    );
    assert!(error(&shop, &["Send"]).contains("`shop.v1.Entrypoint/Send` takes a stream of requests"));
    assert_eq!(shop.calls(), 3);
}

#[test]
fn either_version_of_reflection_works() {
    for (v1, v1alpha) in [(true, false), (false, true)] {
        let shop = Shop::open(Reflection { v1, v1alpha, without: "" });
        assert_eq!(answer(&shop, &["Headers"])["headers"]["te"], "trailers");
    }
}

#[test]
fn a_missing_reflection_service_is_reported() {
    let shop = Shop::open(Reflection { v1: false, v1alpha: false, without: "" });
    let expected = format!(
        "error: failed to ask {} for its methods: it does not describe them\n\
         hint: the server needs gRPC reflection, v1 or v1alpha\n",
        shop.address
    );
    assert_eq!(error(&shop, &["Price"]), expected);
}

#[test]
fn google_files_may_be_missing_but_no_others() {
    let shop = Shop::open(Reflection { without: "google/protobuf/timestamp.proto", ..Reflection::BOTH });
    assert_eq!(answer(&shop, &["Entrypoint/Price"]), json!({"at": "1970-01-01T00:00:00Z"}));
    let shop = Shop::open(Reflection { without: "types.proto", ..Reflection::BOTH });
    assert!(error(&shop, &["Price"]).contains("it does not give `types.proto`, which another file imports"));
}

#[test]
fn errors_have_a_code() {
    let shop = Shop::open(Reflection::BOTH);
    let failed = error(&shop, &["Entrypoint/Price", r#"{"item": "unknown"}"#]);
    assert_eq!(failed, "error: INTERNAL: error in 'etl': no such item\n");
    assert_eq!(error(&shop, &["Entrypoint/Price", r#"{"item": "mute"}"#]), "error: ABORTED\n");
    assert!(error(&shop, &["Admin/Price"]).starts_with("error: UNIMPLEMENTED"));
}

#[test]
fn headers_and_the_deadline_are_sent() {
    let shop = Shop::open(Reflection::BOTH);
    let arguments =
        ["Headers", "-H", "x-a: 1", "-H", "x-a:2", "--header", "trace-bin:AAH/", "--timeout", "60"];
    let answer = answer(&shop, &arguments);
    assert_eq!(answer["headers"]["x-a"], "1, 2");
    assert_eq!(answer["headers"]["trace-bin"], "[0, 1, 255]");
    assert_eq!(answer["headers"]["grpc-timeout"], "60000000u");

    let refused = call(&shop, &["Headers", "-H", "grpc-timeout: 1S"]);
    assert_eq!((refused.code, &*refused.stdout), (Some(2), ""));
    assert!(refused.stderr.contains("hint: use --timeout"), "{}", refused.stderr);
}

#[test]
fn slow_calls_time_out() {
    let shop = Shop::open(Reflection::BOTH);
    let late = error(&shop, &["Entrypoint/Price", r#"{"item": "never"}"#, "--timeout", "0.2"]);
    assert_eq!(late, "error: DEADLINE_EXCEEDED: no answer within 0.2 s\n");
}

#[test]
fn defaults_are_printed_on_request() {
    let shop = Shop::open(Reflection::BOTH);
    let answer = answer(&shop, &["Entrypoint/Price", "--emit-defaults"]);
    assert_eq!(answer, json!({"item": "", "cents": "0", "at": "1970-01-01T00:00:00Z", "sold": false}));
}

/// Three requests; the second one fails.
const LINES: &str = r#"{"item": "tea", "count": 1}
{"item": "unknown"}

{"item": "milk",
 "count": 2}
"#;
const TEA: &str = "{\"item\":\"tea\",\"cents\":\"250\",\"at\":\"1970-01-01T00:00:00Z\"}\n";
const MILK: &str = "{\"item\":\"milk\",\"cents\":\"500\",\"at\":\"1970-01-01T00:00:00Z\"}\n";
const SECOND: &str = "error: request 2: INTERNAL: error in 'etl': no such item\n";

#[test]
fn requests_in_a_file_are_sent_in_order() {
    let shop = Shop::open(Reflection::BOTH);
    let folder = Folder::new(&[("requests.jsonl", LINES)]);
    let file = format!("@{}", folder.join("requests.jsonl").display());
    for (source, input) in [(&*file, ""), ("-", LINES), (LINES, "")] {
        let before = shop.calls();
        let stopped = call_with(shop.address, &["Entrypoint/Price", source], input);
        assert_eq!((stopped.code, &*stopped.stdout, &*stopped.stderr), (Some(1), TEA, SECOND));
        assert_eq!(shop.calls(), before + 2);

        let went_on = call_with(shop.address, &["Entrypoint/Price", source, "--keep-going"], input);
        assert_eq!((went_on.code, &*went_on.stdout), (Some(1), &*format!("{TEA}{MILK}")));
        assert_eq!(went_on.stderr, SECOND);
        assert_eq!(shop.calls(), before + 5);
    }
}

#[test]
fn invalid_requests_are_not_sent() {
    let shop = Shop::open(Reflection::BOTH);
    for (json, expected) in [
        (
            r#"{"itm": "tea"}"#,
            "error: the request is not a shop.v1.PriceRequest: shop.v1.PriceRequest has no field `itm` at line 1 column 8\n\
             hint: all its fields are {\"item\":\"\",\"count\":\"0\",\"tags\":[\"\"]}\n",
        ),
        ("{} {item}", "error: the request is not JSON: key must be a string at line 1 column 5\n"),
        ("", "error: there is no request\nhint: the empty request is {}\n"),
    ] {
        assert_eq!(error(&shop, &["Entrypoint/Price", json]), expected);
    }
    let missing = error(&shop, &["Entrypoint/Price", "@none.json"]);
    assert_eq!(missing, "error: cannot read `none.json`: No such file or directory (os error 2)\n");
    assert_eq!(shop.calls(), 0);
}

#[test]
fn requests_of_the_wrong_type_are_skipped() {
    let shop = Shop::open(Reflection::BOTH);
    let input = "{\"count\": \"many\"}\n{\"item\": \"tea\", \"count\": 1}\n{nope}\n{}";
    let ended = call_with(shop.address, &["Entrypoint/Price", "-", "--keep-going"], input);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), TEA));
    assert!(ended.stderr.starts_with("error: request 1: the request is not a"), "{}", ended.stderr);
    assert!(ended.stderr.contains("error: request 3 is not JSON: key must be a string"), "{}", ended.stderr);
    assert_eq!(shop.calls(), 1);
}

#[test]
fn refused_connections() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let ended = call_with(address, &["Price"], "");
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert_eq!(
        ended.stderr,
        format!(
            "error: cannot connect to {address}: Connection refused (os error 111)\n\
             hint: is `krt run` running? --address names another server, --package starts one for this call\n"
        )
    );
}

#[test]
fn servers_without_grpc() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut start = [0; 14];
        socket.read_exact(&mut start).unwrap();
        start
    });
    let ended = call_with(address, &["Price"], "");
    assert_eq!(&server.join().unwrap(), b"PRI * HTTP/2.0");
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.starts_with(&format!("error: failed to ask {address} for its methods: ")));
}

#[test]
fn closed_pipes_are_no_error() {
    let shop = Shop::open(Reflection::BOTH);
    let mut command = krt();
    command.args(["call", "--address", &shop.address.to_string(), "Entrypoint/Price", LINES]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}

#[test]
fn invalid_addresses_are_refused() {
    for (address, expected) in [
        ("localhost", "expected HOST:PORT, such as 127.0.0.1:9000, http://localhost:9000 or https://"),
        ("ftp://localhost:1", "expected HOST:PORT"),
    ] {
        let mut command = krt();
        command.args(["call", "--address", address]);
        let ended = run_with(command, "");
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
