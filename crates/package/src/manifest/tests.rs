//! Every rule of the manifest, as a table: one edit of a valid manifest, and the findings.

use super::*;
use crate::render::Style;
use krt_model::version::{GpuNeed, VariableKind};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const GOOD: &str = "\
version: greeter-v1
description: Greets people
entrypoint:
  proto: public_input.proto
  image: example/entrypoint:1
config:
  variables: [API_KEY, HOST]
  files:
    - CERT
nodes:
  - name: greeter
    image: example/py:1
    src: src/greeter/main.py
    gpu: true
  - name: counter
    image: example/go:1
    src: bin/counter
workflows:
  - name: go
    entrypoint: Greet
    sequential: [greeter, counter]
  - name: count
    entrypoint: Count
    sequential:
      - counter
";

fn read(text: &str, target: Target) -> (Manifest, Report) {
    parse(&Source::new("krt.yml", text), target)
}

/// One line per problem: `line:column severity: message | hint`.
fn lines(report: &Report) -> Vec<String> {
    let line = |problem: &crate::Problem| {
        let place = problem.location.as_ref().map(|at| format!("{}:{} ", at.line, at.column));
        let severity = format!("{:?}", problem.severity).to_lowercase();
        let hint = problem.hint.as_ref().map(|hint| format!(" | {hint}"));
        let (place, hint) = (place.unwrap_or_default(), hint.unwrap_or_default());
        format!("{place}{severity}: {}{hint}", problem.message)
    };
    report.problems().iter().map(line).collect()
}

fn edited(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "`{from}` must be in the manifest once");
    GOOD.replace(from, to)
}

fn check(table: &[(&str, &str, &[&str])]) {
    for (from, to, expected) in table {
        let text = edited(from, to);
        let (_, report) = read(&text, Target::Local);
        assert_eq!(lines(&report), *expected, "`{from}` → `{to}`");
        json_schema::tests::agrees(&text, &report);
    }
}

#[test]
fn a_valid_manifest_becomes_a_version() {
    for target in [Target::Local, Target::Cluster] {
        let (manifest, report) = read(GOOD, target);
        assert_eq!(lines(&report), [""; 0]);
        let version = manifest.into_version().unwrap();
        assert_eq!(version.nodes[0].image.as_deref(), Some("example/py:1"));
        let cluster = Gpu { need: GpuNeed::RequiredIfAny, ..Gpu::default() };
        assert_eq!((version.nodes[0].gpu, version.nodes[1].gpu), (Some(cluster), None));
        assert_eq!(version.workflows[0].sequence, [0, 1]);
        assert_eq!(version.workflows[1].sequence, [1]);
        assert_eq!(version.config.len(), 3);
    }
}

#[test]
fn top_level_keys() {
    check(&[
        ("version: greeter-v1\n", "", &["1:1 error: the package has no `version`"]),
        ("version: greeter-v1", "version:", &["1:1 error: the package has no `version`"]),
        ("version: greeter-v1", "version: ''", &["1:10 error: `version` is empty"]),
        ("version: greeter-v1", "version: [a]", &["1:10 error: `version` must be text, not a list"]),
        ("version: greeter-v1", "version: {a: b}", &["1:10 error: `version` must be text, not a mapping"]),
        ("version: greeter-v1", "version: 1", &[]),
        (
            "version: greeter-v1",
            "version: 1.0",
            &[
                "1:10 error: `1.0` is not a name: lowercase letters, digits and `-` only, with a letter or digit at both ends | for example `1-0`",
            ],
        ),
        (
            "version: greeter-v1",
            "version: twenty-characters-no",
            &[
                "1:10 error: `twenty-characters-no` has 20 characters, a name has at most 19 | for example `twenty-characters-n`",
            ],
        ),
        (
            "version: greeter-v1",
            "verison: greeter-v1",
            &[
                "1:1 error: the package has no `version`",
                "1:1 warning: unknown key `verison` in the package | did you mean `version`?",
            ],
        ),
        ("description: Greets people\n", "", &["1:1 error: the package has no `description`"]),
        ("description: Greets people", "description: '  '", &["2:14 error: `description` is empty"]),
        ("description: Greets people", "description: 42", &[]),
        (
            "description: Greets people",
            "description: Greets people\nauthor: me",
            &[
                "3:1 warning: unknown key `author` in the package | there are `version`, `description`, `entrypoint`, `config`, `environment`, `metadata`, `limits`, `nodes` and `workflows`",
            ],
        ),
        (
            "description: Greets people",
            "description: Greets people\nversion: other",
            &["3:1 error: `version` is a duplicate key | the first is on line 1"],
        ),
    ]);
}

#[test]
fn the_entrypoint() {
    check(&[
        ("  proto: public_input.proto\n", "", &["4:3 error: `entrypoint` has no `proto`"]),
        (
            "public_input.proto",
            "public_input.txt",
            &["4:10 error: `public_input.txt` does not end in `.proto`"],
        ),
        ("  image: example/entrypoint:1\n", "", &[]),
        ("image: example/entrypoint:1", "image: []", &["5:10 error: `image` must be text, not a list"]),
        (
            "image: example/entrypoint:1",
            "imgae: example/entrypoint:1",
            &["5:3 warning: unknown key `imgae` in `entrypoint` | did you mean `image`?"],
        ),
        (
            "entrypoint:\n  proto: public_input.proto\n  image: example/entrypoint:1",
            "entrypoint: public_input.proto",
            &["3:13 error: `entrypoint` must be a mapping, not `public_input.proto`"],
        ),
    ]);
}

#[test]
fn the_configuration() {
    let block = "config:\n  variables: [API_KEY, HOST]\n  files:\n    - CERT\n";
    check(&[
        (block, "", &[]),
        (block, "config:\n", &[]),
        (block, "config: ~\n", &[]),
        (block, "config: {}\n", &[]),
        (block, "config: {variables: null, files: []}\n", &[]),
        (block, "config: []\n", &["6:9 error: `config` must be a mapping, not a list"]),
        (
            "variables: [API_KEY, HOST]",
            "variables: API_KEY",
            &["7:14 error: `variables` must be a list, not `API_KEY`"],
        ),
        (
            "variables: [API_KEY, HOST]",
            "variables: [API_KEY, api-key, {a: b}, _X]",
            &[
                "7:24 error: `api-key` is not the name of a variable: capital letters, digits and `_` only, with a letter or digit at both ends | for example `API_KEY`",
                "7:33 error: a name in `config` must be text, not a mapping",
                "7:41 error: `_X` is not the name of a variable: capital letters, digits and `_` only, with a letter or digit at both ends",
            ],
        ),
        ("- CERT", "- HOST", &["9:7 warning: `HOST` is in `config` twice | the first is on line 7"]),
        (
            "variables: [",
            "variabels: [",
            &["7:3 warning: unknown key `variabels` in `config` | did you mean `variables`?"],
        ),
    ]);
}

#[test]
fn the_nodes() {
    check(&[
        (
            "  - name: greeter\n",
            "  - title: greeter\n",
            &[
                "11:5 error: node 1 has no `name`",
                "11:5 warning: unknown key `title` in node 1 | there are `name`, `image`, `src`, `build`, `gpu`, `replicas`, `concurrency`, `timeout`, `retries`, `payload`, `batch`, `runner`, `limits`, `recycle` and `warmup`",
                "21:18 error: there is no node `greeter` | there is only `counter`",
            ],
        ),
        ("    src: src/greeter/main.py\n", "", &["11:5 error: node `greeter` has no `src`"]),
        (
            "gpu: true",
            "gpu: maybe",
            &[
                "14:10 error: `gpu` must be `true`, `false`, `optional`, a number up to 64 or a mapping with its keys, not `maybe`",
            ],
        ),
        (
            "gpu: true",
            "gpu: 'true'",
            &[
                "14:10 error: `gpu` must be `true`, `false`, `optional`, a number up to 64 or a mapping with its keys, not `true`",
            ],
        ),
        ("gpu: true", "gpu: No", &[]),
        ("gpu: true", "gpu:", &[]),
        ("gpu: true", "gpu: 64", &[]),
        ("gpu: true", "gpu: optional", &[]),
        ("gpu: true", "gpu: {count: 2, share: 4, optional: true}", &[]),
        (
            "gpu: true",
            "gpu: {shares: 4}",
            &["14:11 error: unknown key `shares` in `gpu` of node `greeter` | did you mean `share`?"],
        ),
        (
            "gpu: true",
            "gpu: 65",
            &[
                "14:10 error: `gpu` must be `true`, `false`, `optional`, a number up to 64 or a mapping with its keys, not `65`",
            ],
        ),
        (
            "name: counter",
            "name: greeter",
            &[
                "15:11 error: two nodes are named `greeter` | the first is on line 11",
                "21:27 error: there is no node `counter` | there is only `greeter`",
                "25:9 error: there is no node `counter` | there is only `greeter`",
            ],
        ),
        (
            "name: counter",
            "name: Counter",
            &[
                "15:11 error: `Counter` is not a name: lowercase letters, digits and `-` only, with a letter or digit at both ends | for example `counter`",
                "21:27 error: there is no node `counter` | did you mean `Counter`?",
                "25:9 error: there is no node `counter` | did you mean `Counter`?",
            ],
        ),
    ]);
}

#[test]
fn run_settings_of_a_node() {
    check(&[
        ("gpu: true", "replicas: 256", &[]),
        ("gpu: true", "replicas: {max: 8}", &[]),
        ("gpu: true", "replicas: {min: 0, max: 1, idle: 30}", &[]),
        ("gpu: true", "replicas: {min: 3}", &["14:15 error: `replicas` has no `max`"]),
        (
            "gpu: true",
            "replicas: {min: 3, max: 2}",
            &["14:15 error: `min` of `replicas` is 3, more than `max`, which is 2"],
        ),
        (
            "gpu: true",
            "replicas: {max: 2, idle: 10ms}",
            &["14:30 error: `idle` must be from 1 second to 168 hours"],
        ),
        ("gpu: true", "replicas: {max: 2, share: fork}", &[]),
        (
            "gpu: true",
            "replicas: {max: 2, share: copy}",
            &["14:31 error: `share` must be `fork`, not `copy`"],
        ),
        (
            "gpu: true",
            "replicas: 0",
            &[
                "14:15 error: `replicas` must be a whole number from 1 to 256, or a mapping with its keys, not `0`",
            ],
        ),
        (
            "gpu: true",
            "replicas: 257",
            &[
                "14:15 error: `replicas` must be a whole number from 1 to 256, or a mapping with its keys, not `257`",
            ],
        ),
        (
            "gpu: true",
            "replicas: 1.5",
            &[
                "14:15 error: `replicas` must be a whole number from 1 to 256, or a mapping with its keys, not `1.5`",
            ],
        ),
        (
            "gpu: true",
            "replicas: '2'",
            &[
                "14:15 error: `replicas` must be a whole number from 1 to 256, or a mapping with its keys, not `2`",
            ],
        ),
        (
            "gpu: true",
            "concurrency: 4097",
            &["14:18 error: `concurrency` must be a whole number from 1 to 4096, not `4097`"],
        ),
        (
            "gpu: true",
            "retries: -1",
            &["14:14 error: `retries` must be a whole number from 0 to 100, not `-1`"],
        ),
        (
            "gpu: true",
            "retries: [1]",
            &["14:14 error: `retries` must be a whole number from 0 to 100, not a list"],
        ),
        ("gpu: true", "timeout: 30", &[]),
        ("gpu: true", "timeout: '2m'", &[]),
        ("gpu: true", "timeout: 0", &["14:14 error: `timeout` must be from 1 millisecond to 24 hours"]),
        ("gpu: true", "timeout: 25h", &["14:14 error: `timeout` must be from 1 millisecond to 24 hours"]),
        (
            "gpu: true",
            "timeout: soon",
            &[
                "14:14 error: `timeout` must be a duration, such as `30` (seconds), `500ms`, `2m` or `1h30m`, not `soon`",
            ],
        ),
        ("gpu: true", "payload: json", &[]),
        ("gpu: true", "payload: 'protobuf'", &[]),
        ("gpu: true", "payload: yaml", &["14:14 error: `payload` must be `protobuf` or `json`, not `yaml`"]),
        ("gpu: true", "batch: true", &[]),
        ("gpu: true", "batch: no", &[]),
        ("gpu: true", "batch: {}", &[]),
        ("gpu: true", "batch: {max: 1024, isolate: false}", &[]),
        (
            "gpu: true",
            "batch: 8",
            &["14:12 error: `batch` must be `true`, `false` or a mapping with its keys, not `8`"],
        ),
        (
            "gpu: true",
            "batch: {max: 0}",
            &["14:18 error: `max` must be a whole number from 1 to 1024, not `0`"],
        ),
        (
            "gpu: true",
            "batch: {maximum: 8}",
            &[
                "14:13 error: unknown key `maximum` in `batch` of node `greeter` | there are `max` and `isolate`",
            ],
        ),
        ("gpu: true", "recycle: {memory: 2Gi, requests: 100000}", &[]),
        (
            "gpu: true",
            "recycle: {request: 1}",
            &["14:15 error: unknown key `request` in `recycle` of node `greeter` | did you mean `requests`?"],
        ),
        ("gpu: true", "runner: external", &[]),
        ("gpu: true", "runner: me", &["14:13 error: `runner` must be `krt` or `external`, not `me`"]),
        ("gpu: true", "payload: {}", &["14:14 error: `payload` must be `protobuf` or `json`, not a mapping"]),
        (
            "gpu: true",
            "replica: 2",
            &["14:5 warning: unknown key `replica` in node `greeter` | did you mean `replicas`?"],
        ),
    ]);
}

#[test]
fn the_workflows() {
    check(&[
        ("    entrypoint: Greet\n", "", &["19:5 error: workflow `go` has no `entrypoint`"]),
        ("    sequential: [greeter, counter]\n", "", &["19:5 error: workflow `go` has no `sequential`"]),
        (
            "sequential: [greeter, counter]",
            "sequential: []",
            &["21:17 error: `sequential` is empty: at least one is needed"],
        ),
        (
            "sequential: [greeter, counter]",
            "sequential: greeter",
            &["21:17 error: `sequential` must be a list, not `greeter`"],
        ),
        (
            "sequential: [greeter, counter]",
            "sequential: [greeter, countr, greeter]",
            &["21:27 error: there is no node `countr` | did you mean `counter`?"],
        ),
        ("sequential: [greeter, counter]", "sequential: [greeter, greeter, counter]", &[]),
        (
            "sequential: [greeter, counter]",
            "sequential: [counter]",
            &["11:11 warning: node `greeter` is in no workflow: it will not be started"],
        ),
        (
            "name: count\n",
            "name: go\n",
            &["22:11 error: two workflows are named `go` | the first is on line 19"],
        ),
        (
            "entrypoint: Count",
            "entrypoint: Greet",
            &["23:17 error: two workflows lead from the RPC `Greet` | the first is on line 20"],
        ),
    ]);
}

#[test]
fn lists_must_not_be_empty() {
    for (list, rest) in
        [("nodes", "workflows: [{name: a, entrypoint: A, sequential: [x]}]"), ("workflows", "")]
    {
        let head = "version: a\ndescription: b\nentrypoint: {proto: c.proto}\n";
        for (written, expected) in [
            (String::new(), format!("the package has no `{list}`")),
            (format!("{list}:\n"), format!("the package has no `{list}`")),
            (format!("{list}: []\n"), format!("`{list}` is empty: at least one is needed")),
            (format!("{list}: {{}}\n"), format!("`{list}` must be a list, not a mapping")),
        ] {
            let (manifest, report) = read(&format!("{head}{written}{rest}\n"), Target::Local);
            assert!(
                lines(&report).iter().any(|line| line.ends_with(&expected)),
                "{written:?}: {:?}",
                lines(&report)
            );
            assert!(report.has_errors() && manifest.workflows.len() < 2);
        }
    }
}

#[test]
fn a_cluster_needs_images() {
    for (image, expected) in [
        ("  image: example/entrypoint:1\n", "4:3 error: `entrypoint` has no `image`"),
        ("    image: example/go:1\n", "15:5 error: node `counter` has no `image`"),
    ] {
        let (_, report) = read(&edited(image, ""), Target::Cluster);
        assert_eq!(lines(&report), [expected]);
    }
}

#[test]
fn a_cluster_accepts_only_image_names() {
    for (image, bad, place) in [
        (
            "example/entrypoint:1",
            "Example/Entrypoint:1",
            "5:10 error: `Example/Entrypoint:1` is not an image",
        ),
        ("example/go:1", "'example/go:'", "16:12 error: `example/go:` is not an image"),
    ] {
        let text = edited(image, bad);
        assert_eq!(lines(&read(&text, Target::Local).1), [""; 0]);
        let (_, report) = read(&text, Target::Cluster);
        let found = lines(&report);
        assert!(found.len() == 1 && found[0].starts_with(place) && found[0].contains(" | "), "{found:?}");
    }
}

#[test]
fn duplicate_names_in_the_configuration_count_once() {
    let (manifest, report) = read(&edited("- CERT", "- HOST\n    - CERT\n    - CERT"), Target::Local);
    assert_eq!(
        lines(&report),
        [
            "9:7 warning: `HOST` is in `config` twice | the first is on line 7",
            "11:7 warning: `CERT` is in `config` twice | the first is on line 10"
        ]
    );
    let config = manifest.into_version().unwrap().config;
    let names: Vec<_> = config.iter().map(|variable| (variable.name.as_str(), variable.kind)).collect();
    let (text, file) = (VariableKind::Text, VariableKind::File);
    assert_eq!(names, [("API_KEY", text), ("HOST", text), ("CERT", file)]);
}

#[test]
fn packages_of_other_krt_versions_are_recognised() {
    let second = "\
version: shop-v1
description: Prices
entrypoint:
  proto: public_input.proto
workflows:
  - name: pricing
    entrypoint: Price
    exitpoint: model
    nodes:
      - name: model
        src: src/model/main.py
        subscriptions: [entrypoint]
";
    let third = "\
name: shop
version: v1.0.0
description: Prices
workflows:
  - name: pricing
    type: data
    processes:
      - name: entrypoint
        type: trigger
        subscriptions: []
";
    let v2 = "this is a KRT v2 package | krt runs KRT v1: list all `nodes` at the top";
    for (text, expected) in [
        (format!("krtVersion: v2\n{GOOD}"), format!("1:13 error: {v2}")),
        (format!("krtVersion: 'V2'\n{GOOD}"), format!("1:13 error: {v2}")),
        (format!("{GOOD}krtVersion: 2\n"), format!("26:13 error: {v2}")),
        (format!("krtVersion: v2 # new\n{second}"), format!("1:13 error: {v2}")),
        (second.to_owned(), format!("9:5 error: {v2}")),
        (third.to_owned(), format!("7:5 error: {v2}")),
        (format!("krtVersion: v3\n{GOOD}"), "1:13 error: this is a package of KRT `v3` | ".to_owned()),
    ] {
        let (manifest, report) = read(&text, Target::Local);
        let found = lines(&report);
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
        assert!(manifest.into_version().is_none());
    }
    for good in ["krtVersion: v1\n", "krtVersion: 1\n", "krtVersion:\n"] {
        assert_eq!(lines(&read(&format!("{good}{GOOD}"), Target::Local).1), [""; 0], "{good}");
    }
    let (_, report) = read(&edited("gpu: true", "subscriptions: [etl]"), Target::Local);
    assert_eq!(
        lines(&report),
        [
            "14:5 warning: unknown key `subscriptions` in node `greeter` | `subscriptions` is a key of KRT v2, and means nothing in KRT v1"
        ]
    );
}

#[test]
fn all_problems_at_once() {
    let text = "\
version: Greeter V1
descripton: Greets people
entrypoint:
  proto: public_input.proto
config: null
nodes:
  - name: greeter
    src: src/greeter/main.py
    replicas: many
  - name: greeter
    src: [a, b]
  - greeter
workflows:
  - name: go
    entrypoint: Greet
    sequential: [greter]
";
    let (manifest, report) = read(text, Target::Local);
    assert!(manifest.into_version().is_none());
    insta::assert_snapshot!(report.render(&Style::default()));
}

fn bounded(text: &str) -> Report {
    let start = Instant::now();
    let (_, report) = read(text, Target::Local);
    assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
    assert!(report.problems().len() <= Report::MAX_PROBLEMS + 1);
    report
}

#[test]
fn a_manifest_full_of_errors_is_reported_quickly() {
    let nodes: String = (0..3_000).map(|n| format!("- {{name: N{n}, x: 1}}\n")).collect();
    let names: String = (0..5_000).map(|n| format!("n{n}, ")).collect();
    let report = bounded(&format!("nodes:\n{nodes}workflows: [{{sequential: [{names}]}}]\n"));
    assert!(report.has_errors());
    let keys: String = (0..9_000).map(|n| format!("key{n}: ,")).collect();
    assert!(bounded(&format!("{{{keys}}}")).has_errors());
}

proptest! {
    #[test]
    fn mutated_manifests_never_panic(
        cuts in prop::collection::vec((0usize..GOOD.len(), 0usize..12, "[\\[\\]{}:,&*!|>'\"#%@`\\- \ta-z\n]{0,6}"), 1..6),
        cluster: bool,
    ) {
        let mut text = GOOD.to_owned();
        for (place, length, new) in cuts {
            let place = place.min(text.len());
            let end = (place + length).min(text.len());
            text.replace_range(place..end, &new);
        }
        let target = if cluster { Target::Cluster } else { Target::Local };
        let (manifest, report) = read(&text, target);
        // An invalid version has been reported, and every problem can be rendered.
        prop_assert!(manifest.into_version().is_some() || report.has_errors());
        prop_assert!(report.render(&Style::default()).lines().count() >= report.problems().len());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let (manifest, report) = read(&text, Target::Local);
        prop_assert!(manifest.into_version().is_some() || report.has_errors());
        let style = Style { colour: true, ..Style::default() };
        prop_assert_eq!(report.render(&style).is_empty(), report.is_empty());
    }
}

#[test]
fn limits_of_a_node_override_those_of_the_package() {
    let text =
        edited("nodes:\n", "limits: {memory: 1Gi, cpu: 0.5}\nenvironment: [HF_HOME, TOKENIZERS]\nnodes:\n");
    let text = text.replace("    gpu: true\n", "    limits: {memory: 256Mi, files: 512}\n");
    let (manifest, report) = read(&text, Target::Local);
    assert_eq!(lines(&report), [""; 0]);
    let limits: Vec<_> = manifest.nodes.iter().map(|node| node.run.limits).collect();
    let memory = |mebibytes: u64| Some(krt_model::version::Memory(mebibytes << 20));
    assert_eq!((limits[0].memory, limits[0].cpu, limits[0].files), (memory(256), Some(500), Some(512)));
    assert_eq!((limits[1].memory, limits[1].cpu, limits[1].files), (memory(1024), Some(500), None));
    assert_eq!(manifest.environment, ["HF_HOME", "TOKENIZERS"]);
}

#[test]
fn names_of_metadata_are_a_set() {
    let text = edited("nodes:\n", "metadata: [x-tenant, accept-language, x-tenant, x-key-bin]\nnodes:\n");
    let (manifest, report) = read(&text, Target::Local);
    assert_eq!(lines(&report), [""; 0]);
    let names: Vec<_> = manifest.metadata.iter().map(MetadataName::as_str).collect();
    assert_eq!(names, ["accept-language", "x-key-bin", "x-tenant"]);
}

#[test]
fn invalid_limits_and_variables_have_a_location() {
    let all = |block: &'static str| ("nodes:\n", block);
    let rows: [(_, &[&str]); 9] = [
        (
            all("metadata: [X-Tenant, authorization, krt-version]\nnodes:\n"),
            &[
                "10:12 error: `X-Tenant` is not the name of a header: lowercase letters, digits, `-`, `_` and `.` only, at least one | for example `x-tenant`",
                "10:22 error: the header `authorization` may hold a token of the server, and no handler sees it | let clients send it under another name, such as `x-authorization`",
                "10:37 error: the header `krt-version` belongs to the protocol, and no handler sees it",
            ],
        ),
        (
            all("limits: {memroy: 1Gi}\nnodes:\n"),
            &["10:10 error: unknown key `memroy` in `limits` of the package | did you mean `memory`?"],
        ),
        (all("limits: 1Gi\nnodes:\n"), &["10:9 error: `limits` of the package must be a mapping, not `1Gi`"]),
        (
            all("limits: {memory: 512MB}\nnodes:\n"),
            &[
                "10:18 error: `memory` must be bytes, or an amount such as `512Mi`, `2Gi` or `1G`, not `512MB`",
            ],
        ),
        (all("limits: {memory: 512}\nnodes:\n"), &["10:18 error: `memory` must be from 16Mi to 1Pi"]),
        (
            all("limits: {cpu: half}\nnodes:\n"),
            &["10:15 error: `cpu` must be a number of processors, such as `2`, `0.5` or `500m`, not `half`"],
        ),
        (all("limits: {cpu: 0}\nnodes:\n"), &["10:15 error: `cpu` must be from 10m to 1000"]),
        (
            all("limits: {files: 8}\nnodes:\n"),
            &["10:17 error: `files` must be a whole number from 32 to 1073741824, not `8`"],
        ),
        (
            all("environment: [A B, KRT_TOKEN, OTEL_EXPORTER_OTLP_HEADERS]\nnodes:\n"),
            &[
                "10:15 error: a name in `environment` has letters, digits and `_` only, and begins with no digit",
                "10:20 error: this variable belongs to krt itself, and no node sees it",
                "10:31 error: this variable belongs to krt itself, and no node sees it",
            ],
        ),
    ];
    for ((from, to), expected) in rows {
        let (_, report) = read(&edited(from, to), Target::Local);
        assert_eq!(lines(&report), expected, "{to}");
    }
}
