//! The help texts of the commands.

use crate::support::run;
use insta::assert_snapshot;

fn help(command: &[&str]) -> String {
    let ended = run(command.iter().copied().chain(["--help"]));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    ended.stdout
}

#[test]
fn of_krt() {
    assert_snapshot!(help(&[]));
}

#[test]
fn of_check() {
    assert_snapshot!(help(&["check"]));
}

#[test]
fn of_new() {
    assert_snapshot!(help(&["new"]));
    assert_snapshot!("of_new_node", help(&["new", "node"]));
}

#[test]
fn of_test() {
    assert_snapshot!(help(&["test"]));
}

#[test]
fn of_proto() {
    assert_snapshot!(help(&["proto"]));
}

#[test]
fn of_pack() {
    assert_snapshot!(help(&["pack"]));
}

#[test]
fn of_unpack() {
    assert_snapshot!(help(&["unpack"]));
}

#[test]
fn of_call() {
    assert_snapshot!(help(&["call"]));
}

#[test]
fn of_bench() {
    assert_snapshot!(help(&["bench"]));
}

#[test]
fn of_size() {
    assert_snapshot!(help(&["size"]));
}

#[test]
fn of_doctor() {
    assert_snapshot!(help(&["doctor"]));
}

#[test]
fn of_completions() {
    assert_snapshot!(help(&["completions"]));
}

#[test]
fn is_shown_without_arguments() {
    let ended = run::<&str>([]);
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""));
    assert!(ended.stderr.contains("Usage: krt [OPTIONS] <COMMAND>"), "{}", ended.stderr);
}

#[test]
fn of_serve() {
    assert_snapshot!(help(&["serve"]));
}

#[test]
fn of_login() {
    assert_snapshot!(help(&["login"]));
    assert_snapshot!("of_logout", help(&["logout"]));
}

#[test]
fn of_runtime() {
    assert_snapshot!(help(&["runtime"]));
    assert_snapshot!("of_runtime_change", help(&["runtime", "change"]));
}

#[test]
fn of_version() {
    assert_snapshot!(help(&["version"]));
    for action in ["start", "publish", "rollback", "config", "logs"] {
        assert_snapshot!(format!("of_version_{action}"), help(&["version", action]));
    }
}

#[test]
fn of_user_and_token() {
    assert_snapshot!("of_user", help(&["user"]));
    assert_snapshot!("of_token", help(&["token"]));
    assert_snapshot!("of_token_create", help(&["token", "create"]));
}

#[test]
fn of_man() {
    assert_snapshot!(help(&["man"]));
}
