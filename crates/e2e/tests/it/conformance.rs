//! One list of tests for nodes in every language: each function of the context, and every way in which a
//! request can end.
//!
//! Each language has a package in `packages/conformance` with the same workflows and the same acts, which
//! requests select. [`Language`] lists the user-visible differences between languages; all else is the same.
//! A package without an act, or a folder without a [`Language`], fails.

mod batches;
mod context;
mod ends;
mod plain;

use crate::support::{Krt, Service, krt::packages};
use serde_json::{Value, json};
use std::fs;

/// The differences between languages.
pub(crate) struct Language {
    /// The name of its package folder.
    name: &'static str,
    /// Whether the SDK removes its own variables from the environment: Rust has no safe way to do so.
    hides_variables: bool,
    /// The value of an unset key.
    missing: &'static str,
    /// Invalid arguments specific to the language, by name, with the error.
    wrong: &'static [(&'static str, &'static str)],
    /// The message for fields that measurements cannot have.
    left_out: &'static [&'static str],
    /// The message of a failing `init`: its start, and another part.
    init_failure: (&'static str, &'static str),
    /// The error of a handler that fails without a message.
    silent_failure: &'static str,
    /// Handler failures specific to the language, by act, with the request's error.
    own_failures: &'static [(&'static str, &'static str)],
    /// The error of a request whose handler panics with `no model`.
    panic: &'static str,
    /// The record of that panic: its start, and the location.
    stack: (&'static str, &'static str),
    /// An act that crashes the whole process, and the process's end.
    crash: (&'static str, &'static str),
}

const GO: Language = Language {
    name: "go",
    hides_variables: true,
    missing: r#"[null,"",-1,-1]"#,
    wrong: &[
        ("save a list", "[ctx.db.save] invalid 'data'='[1]', must be a map or a struct"),
        (
            "save a channel",
            "`a.b` is a `chan int`, which cannot be stored; hint: store its fields, or its text",
        ),
        ("find without query", "[ctx.db.find] invalid 'query'='map[]', must be a nonempty dict"),
    ],
    left_out: &[
        "its field `map` is left out: it is map[], a `map[string]int`, not a text, a number or a boolean",
        "its field `nan` is left out: it is NaN",
    ],
    init_failure: ("panic: no model at ", "worker/main.go:"),
    silent_failure: "*errors.errorString",
    own_failures: &[
        ("nil_map", "panic: assignment to entry in nil map"),
        ("goexit", "user code ended its goroutine (runtime.Goexit)"),
        ("typed_none", "the handler returned no message"),
    ],
    panic: "panic: no model",
    stack: ("panic: no model\n", "worker/ends.go:"),
    crash: ("panic_beside", "it exited with status 2"),
};

const PYTHON: Language = Language {
    name: "python",
    hides_variables: true,
    missing: "no value is kept for `nowhere`; kept: `from init`, `calls`, `ratio`, `reply in init`, `key`; hint: call ctx.set('nowhere', …) in init",
    wrong: &[
        ("save a list", "[ctx.db.save] invalid 'data'='[1]', must be a dict"),
        ("save a set", "`a.b` is a `builtins.set`, which cannot be stored; hint: make it a list"),
        ("find without query", "[ctx.db.find] invalid 'query'='{}', must be a nonempty dict"),
    ],
    left_out: &[
        "its field `map` is left out: it is {}, a `dict`, not a text, a number or a boolean",
        "its field `nan` is left out: it is nan",
    ],
    init_failure: ("Traceback (most recent call last):", "FileNotFoundError: no model at /"),
    silent_failure: "ValueError",
    own_failures: &[("sys_exit", "the handler called sys.exit(3)")],
    panic: "no model",
    stack: ("", "worker/ends.py"),
    crash: ("abort", "killed by signal 6 (SIGABRT)"),
};

const RUST: Language = Language {
    name: "rust",
    hides_variables: false,
    missing: "no value is kept for 'nowhere'; hint: `ctx.set` it in `init` | the value for 'ratio' is no `&str`",
    wrong: &[
        ("save a list", "[ctx.db.save] invalid 'data'='[1]', must be a map or a struct"),
        ("find without query", "[ctx.db.find] invalid 'query'='{}', must be a nonempty dict"),
    ],
    left_out: &[
        "its field `map` is left out: it is an object, not a text, a number or a boolean",
        "its field `nan` is left out: it is no number (NaN or infinite), or null",
    ],
    init_failure: ("no model at ", ""),
    silent_failure: "",
    own_failures: &[("index", "panic: index out of bounds: the len is 1 but the index is 5")],
    panic: "panic: no model",
    stack: ("panic: no model at src/bin/worker/main.rs:", "worker::handler"),
    crash: ("abort", "killed by signal 6 (SIGABRT)"),
};

/// Defines a test of each case for each language.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        cases!(@language go GO $($module: $($case),+;)+);
        cases!(@language python PYTHON $($module: $($case),+;)+);
        cases!(@language rust RUST $($module: $($case),+;)+);
    };
    (@language $language:ident $constant:ident $($module:ident: $($case:ident),+;)+) => {
        mod $language {
            $($(
                #[tokio::test]
                async fn $case() {
                    super::$module::$case(&super::$constant).await;
                }
            )+)+
        }
    };
}

cases! {
    batches:
        what_waits_is_one_call_and_items_end_on_their_own,
        a_failed_batch_is_halved_until_the_guilty_request_is_alone;
    context:
        values_paths_and_environment_variables,
        messages_pass_from_node_to_node,
        handlers_know_the_id_of_their_request,
        handlers_know_their_deadline,
        handlers_know_what_the_client_sent,
        early_replies_and_exits,
        documents_are_found_as_they_were_saved,
        wrong_arguments_are_reported,
        measurements_keep_their_types_and_never_fail,
        predictions_are_documents_of_their_collection,
        records_name_their_node_and_request;
    ends:
        a_failing_init_fails_the_start,
        a_sample_that_fails_fails_the_start,
        errors_and_panics_are_errors_of_the_request,
        invalid_answers,
        messages_of_a_mebibyte,
        dying_processes,
        a_killed_worker_costs_only_the_request_in_flight,
        slow_and_silent_handlers,
        streams_end_after_their_messages,
        a_client_that_leaves_ends_a_stream,
        a_flood_of_records_is_logged_or_counted,
        the_default_concurrency_is_one,
        children_of_a_handler_end_by_signals,
        ctrl_c_spares_workers_and_a_killed_engine_leaves_no_process;
    plain:
        plain_data_matches_the_json,
        plain_data_passes_from_node_to_node,
        plain_data_mismatches_name_their_field;
}

impl Language {
    fn krt(&self) -> Krt {
        Krt::run_at(&packages().join("conformance").join(self.name))
    }

    async fn start(&self) -> Service {
        self.krt().start().await
    }
}

fn act(act: &str) -> Value {
    json!({ "act": act })
}

#[test]
fn every_language_is_in_the_list() {
    let folders = fs::read_dir(packages().join("conformance")).unwrap();
    let mut names: Vec<_> =
        folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [GO, PYTHON, RUST].map(|language| language.name));
}
