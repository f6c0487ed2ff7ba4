//! Packages as written by an author, from a folder to a version.

use super::*;
use crate::archive::pack_file;
use crate::fixture::folder;
use crate::reading::Message;
use crate::render::Style;
use krt_model::hint;
use krt_model::language::Language;
use krt_model::severity::Severity;
use krt_model::version::Replicas;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const MANIFEST: &str = "\
version: greeter-v1
description: Greets
entrypoint:
  proto: public_input.proto
config:
  variables: [API_KEY]
  files:
    - CERT
nodes:
  - name: greeter
    src: src/greeter/main.py
    replicas: 2
    timeout: 500ms
  - name: counter
    src: bin/counter
    gpu: true
workflows:
  - name: go
    entrypoint: Greet
    sequential: [greeter, counter, greeter]
";

const PROTO: &str = "\
syntax = \"proto3\";
package hello;
message Request { string first_name = 1; }
message Response { string greeting = 1; }
service Entrypoint {
  rpc Greet (Request) returns (Response);
}
";

fn greeter() -> TempDir {
    folder(&[
        ("krt.yml", MANIFEST),
        ("public_input.proto", PROTO),
        ("src/greeter/main.py", "async def handler(ctx, data): ...\n"),
        ("bin/counter", "\x7fELF"),
    ])
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Reads a package as another process would, through its encoded form.
fn elsewhere(order: &ReadRequest) -> Result<Reading, Error> {
    let order = ReadRequest::decode(&order.encode()).expect("it was written here");
    let message = match order.read(&(Rc::new(|_| {}) as Steps)) {
        Ok(reading) => Message::Done(Box::new(reading)),
        Err(failure) => Message::Failed(failure),
    };
    match Message::decode(&message.encode()) {
        Some(Message::Done(reading)) if reading.is_sound() => Ok(*reading),
        Some(Message::Failed(failure)) => Err(failure.into()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn packages_read_by_another_process_are_equal() {
    let folder = greeter();
    fs::write(folder.path().join("more.proto"), "syntax = \"proto3\"; message More {} // a comment\n")
        .unwrap();
    let here = load(folder.path()).unwrap();
    let there = Loader::default().load_by(folder.path(), elsewhere).unwrap();
    assert_eq!(format!("{:?}", here.version), format!("{:?}", there.version));
    assert_eq!(here.schema.descriptors, there.schema.descriptors);
    assert_eq!(format!("{:?}", here.schema.methods), format!("{:?}", there.schema.methods));

    fs::write(folder.path().join("krt.yml"), MANIFEST.replace("src: bin/counter", "src: no\n    gqu: true"))
        .unwrap();
    let here = Loader::default().check(folder.path()).unwrap();
    let there = Loader::default().check_by(folder.path(), elsewhere).unwrap();
    assert!(here.report.has_errors() && here.report.warnings() > 0);
    assert_eq!(here.report.render(&Style::default()), there.report.render(&Style::default()));

    for text in ["", "no archive"] {
        fs::write(folder.path().join("a.krt"), text).unwrap();
        let words = |loaded: Result<Package, Error>| {
            let error = loaded.unwrap_err();
            (error.to_string(), std::error::Error::source(&error).map(ToString::to_string))
        };
        let at = folder.path().join("a.krt");
        assert_eq!(words(load(&at)), words(Loader::default().load_by(&at, elsewhere)));
    }
}

#[test]
fn a_folder_loads() {
    let folder = greeter();
    let package = load(folder.path()).unwrap();
    assert!(package.warnings.is_empty(), "{}", package.warnings.render(&Style::default()));
    let version = &package.version;
    assert_eq!(version.name.as_str(), "greeter-v1");
    assert_eq!(version.config.len(), 2);
    assert_eq!(version.nodes[0].run.replicas, Replicas::fixed(2));
    assert_eq!(version.nodes[0].run.timeout, Some(Duration::from_millis(500)));
    assert!(version.nodes[1].gpu.is_some());
    assert_eq!(version.workflows[0].sequence, [0, 1, 0]);
    let method = package.schema.method("/hello.Entrypoint/Greet").unwrap();
    assert_eq!(method.workflow, Some(0));
    assert_eq!(method.output_type_url, "type.googleapis.com/hello.Response");
    assert_eq!(mode(&package.root.join("bin/counter")), 0o755);
    assert_eq!(mode(&package.root.join("src/greeter/main.py")), 0o644);
}

#[test]
fn a_manifest_loads_its_package() {
    let folder = greeter();
    let package = load(&folder.path().join("krt.yml")).unwrap();
    assert_eq!(package.root, folder.path().canonicalize().unwrap());
}

#[test]
fn an_archive_loads_and_leaves_nothing_behind() {
    let folder = greeter();
    let work_dir = tempfile::tempdir().unwrap();
    let archive = work_dir.path().join("greeter.krt");
    pack_file(folder.path(), &archive, &mut |_| {}).unwrap();
    let loader = Loader { work_dir: Some(work_dir.path().to_owned()), ..Loader::default() };

    let package = loader.load(&archive).unwrap();
    assert!(package.root.starts_with(work_dir.path().canonicalize().unwrap()));
    assert_eq!(mode(&package.root.join("bin/counter")), 0o755);
    assert!(package.root.join("src/greeter/main.py").is_file());
    drop(package);
    assert!(loader.check(&archive).unwrap().version.is_some());

    fs::write(&archive, "no archive").unwrap();
    assert!(matches!(loader.load(&archive), Err(Error::Archive { .. })));
    assert_eq!(fs::read_dir(work_dir.path()).unwrap().count(), 1, "only the archive is left");
}

#[test]
fn a_check_changes_nothing() {
    let folder = greeter();
    assert!(Loader::default().check(folder.path()).unwrap().version.is_some());
    assert_eq!(mode(&folder.path().join("bin/counter")), 0o644);
}

#[test]
fn invalid_packages() {
    let empty = folder(&[("readme.md", "")]);
    let error = load(empty.path()).unwrap_err().to_string();
    assert!(error.ends_with("has no `krt.yml`"), "{error}");

    let nested = folder(&[("greeter/krt.yaml", MANIFEST), ("other/krt.yml", MANIFEST)]);
    let error = hint::line(&load(nested.path()).unwrap_err());
    assert!(error.contains("; hint: there is one in `") && error.ends_with("/greeter`"), "{error}");

    assert!(matches!(load(&empty.path().join("no")), Err(Error::Read { .. })));
    let odd = tempfile::tempdir().unwrap();
    fs::create_dir(odd.path().join("krt.yml")).unwrap();
    assert!(matches!(load(odd.path()), Err(Error::NoManifest { .. })));
}

#[test]
fn krt_yaml_is_read_without_krt_yml() {
    let folder = greeter();
    fs::copy(folder.path().join("krt.yml"), folder.path().join("krt.yaml")).unwrap();
    let both = load(folder.path()).unwrap();
    assert_eq!(both.warnings.warnings(), 1);
    assert!(both.warnings.render(&Style::default()).contains("`krt.yaml` is not read"));
    fs::remove_file(folder.path().join("krt.yml")).unwrap();
    assert!(load(folder.path()).unwrap().warnings.is_empty());
}

/// One edit of a valid package, and the findings: `file:line:column severity: message`.
#[test]
fn the_manifest_against_the_other_files() {
    let second = "service Second { rpc Greet (Request) returns (Response); }\n";
    let rpc = "rpc Greet (Request) returns (Response);";
    let more = format!("{rpc}\n  rpc Unused (Request) returns (Response);");
    let both = format!("{PROTO}{second}");
    for (file, from, to, expected) in [
        (
            "krt.yml",
            "src/greeter/main.py",
            "src/greeter/mian.py",
            "krt.yml:11:10 error: `src/greeter/mian.py` does not exist | did you mean `src/greeter/main.py`?",
        ),
        ("krt.yml", "src/greeter/main.py", "src/greeter", "krt.yml:11:10 error: `src/greeter` is not a file"),
        (
            "krt.yml",
            "bin/counter",
            "../counter",
            "krt.yml:15:10 error: `../counter` leads out of the package | name a file in the package, relative to its root",
        ),
        ("krt.yml", "bin/counter", "/bin/sh", "krt.yml:15:10 error: `/bin/sh` does not exist"),
        (
            "krt.yml",
            "bin/counter",
            "/bin/counter",
            "krt.yml:15:10 warning: `/bin/counter` begins with `/`: it is taken as relative to the package's root | write `bin/counter`",
        ),
        ("krt.yml", "bin/counter", "src/../bin/counter", ""),
        (
            "krt.yml",
            "bin/counter",
            "'bin/counter '",
            "krt.yml:15:10 error: `bin/counter ` does not exist | remove the spaces around it: `bin/counter`",
        ),
        (
            "krt.yml",
            "bin/counter",
            "bin\\counter",
            "krt.yml:15:10 error: `bin\\counter` does not exist | separate folders by `/`: `bin/counter`",
        ),
        (
            "krt.yml",
            "public_input.proto",
            "/public_input.proto",
            "krt.yml:4:10 warning: `/public_input.proto` begins with `/`: it is taken as relative to the package's root | write `public_input.proto`",
        ),
        (
            "krt.yml",
            "- CERT",
            "- API_KEY",
            "krt.yml:8:7 warning: `API_KEY` is in `config` twice | the first is on line 6",
        ),
        (
            "krt.yml",
            "public_input.proto",
            "public_inptu.proto",
            "krt.yml:4:10 error: `public_inptu.proto` does not exist | did you mean `public_input.proto`?",
        ),
        (
            "krt.yml",
            "entrypoint: Greet",
            "entrypoint: Gret",
            "krt.yml:19:17 error: the entrypoint has no RPC `Gret` | did you mean `Greet`?; public_input.proto:6:7 warning: RPC `Greet` has no workflow: its callers will get `UNIMPLEMENTED`",
        ),
        (
            "public_input.proto",
            rpc,
            more.as_str(),
            "public_input.proto:7:7 warning: RPC `Unused` has no workflow: its callers will get `UNIMPLEMENTED`",
        ),
        (
            "public_input.proto",
            "(Request)",
            "(stream Request)",
            "public_input.proto:6:7 error: RPC `Greet` takes a stream of requests, which cannot be served | remove `stream` before the request: only the answer can be a stream",
        ),
        (
            "public_input.proto",
            PROTO,
            both.as_str(),
            "krt.yml:19:17 error: `Greet` is an RPC of `hello.Entrypoint` and of `hello.Second` | rename one of them: a workflow names its RPC without the service; public_input.proto:6:7 warning: RPC `Greet` has no workflow: its callers will get `UNIMPLEMENTED`; public_input.proto:8:22 warning: RPC `Greet` has no workflow: its callers will get `UNIMPLEMENTED`",
        ),
        (
            "public_input.proto",
            "string first_name",
            "Name first_name",
            "public_input.proto:3:19 error: name `Name` is not defined",
        ),
        ("krt.yml", "description: Greets", "description: \u{1}", "krt.yml:2:14 error: this is not YAML: "),
    ] {
        let folder = greeter();
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let found = lines(&Loader::default().check(folder.path()).unwrap().report);
        assert!(found == expected || expected.ends_with(": ") && found.starts_with(expected), "{found}");
        assert_eq!(load(folder.path()).is_err(), found.contains(" error: "), "{found}");
    }
}

fn lines(report: &Report) -> String {
    let line = |problem: &Problem| {
        let place =
            problem.location.as_ref().map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
        let hint = problem.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
        let severity = format!("{:?}", problem.severity).to_lowercase();
        format!("{}{place} {severity}: {}{hint}", problem.file.display(), problem.message)
    };
    report.problems().iter().map(line).collect::<Vec<_>>().join("; ")
}

#[test]
fn all_problems_of_a_package_are_reported_at_once() {
    let folder = folder(&[
        ("krt.yml", &MANIFEST.replace("name: go", "name: Go").replace("bin/counter", "bin/conter")),
        ("public_input.proto", &PROTO.replace("string greeting", "Text greeting")),
        ("src/greeter/main.py", ""),
        ("bin/counter", ""),
    ]);
    let Err(error @ Error::Invalid { .. }) = load(folder.path()) else { panic!("it has errors") };
    assert_eq!(error.to_string(), "the package has 3 errors");
    let Error::Invalid { report, .. } = error else { unreachable!() };
    insta::assert_snapshot!(report.render(&Style::default()));
}

#[test]
fn a_manifest_in_any_encoding_of_yaml() {
    let manifest = MANIFEST.replace("description: Greets", "description: Grüßt").replace('\n', "\r\n");
    let utf_16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{manifest}").encode_utf16().flat_map(bytes).collect()
    };
    let marked = format!("\u{feff}{manifest}").into_bytes();
    for text in [manifest.clone().into_bytes(), marked, utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes)] {
        let folder = greeter();
        fs::write(folder.path().join("krt.yml"), text).unwrap();
        let package = load(folder.path()).unwrap();
        assert!(package.warnings.is_empty(), "{}", package.warnings.render(&Style::default()));
        assert_eq!(package.version.description, "Grüßt");
    }
}

#[test]
fn a_manifest_that_is_a_link() {
    let folder = greeter();
    let at = |name: &str| folder.path().join(name);
    let outside = crate::fixture::folder(&[("krt.yml", MANIFEST)]);
    let away = outside.path().join("krt.yml").display().to_string();
    fs::rename(at("krt.yml"), at("real.yml")).unwrap();
    for (target, expected) in [
        ("real.yml", None),
        (&*away, Some(format!("krt.yml error: the link `krt.yml` to `{away}` leads out of the package | "))),
        ("krt.yml", Some("krt.yml error: the link `krt.yml` to `krt.yml` forms a cycle | ".to_owned())),
        (
            "nothing.yml",
            Some("krt.yml error: `krt.yml` does not exist: the link `krt.yml` points to `nothing.yml`, which does not exist | ".to_owned()),
        ),
    ] {
        std::os::unix::fs::symlink(target, at("krt.yml")).unwrap();
        let checked = Loader::default().check(folder.path()).unwrap();
        let found = lines(&checked.report);
        match expected {
            None => assert!(checked.version.is_some() && found.is_empty(), "{found}"),
            Some(expected) => assert!(found.starts_with(&expected) && checked.version.is_none(), "{found}"),
        }
        fs::remove_file(at("krt.yml")).unwrap();
    }
    std::os::unix::fs::symlink("real.yml", at("krt.yml")).unwrap();
    std::os::unix::fs::symlink("krt.yml", at("krt.yaml")).unwrap();
    assert!(load(folder.path()).unwrap().warnings.is_empty(), "one file by two names is one manifest");
}

#[test]
fn a_package_of_links_is_the_same_everywhere() {
    let folder = greeter();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("..1")).unwrap();
    for name in ["krt.yml", "public_input.proto", "src", "bin"] {
        fs::rename(at(name), at("..1").join(name)).unwrap();
        std::os::unix::fs::symlink(format!("..data/{name}"), at(name)).unwrap();
    }
    fs::write(at("..1/src/more.proto"), "syntax = \"proto3\"; message More {}").unwrap();
    std::os::unix::fs::symlink("..1", at("..data")).unwrap();
    let package = load(folder.path()).unwrap();
    assert!(package.warnings.is_empty(), "{}", package.warnings.render(&Style::default()));
    assert!(
        package.schema.pool.get_message_by_name("More").is_some(),
        "a .proto in a linked folder is found"
    );

    let work_dir = tempfile::tempdir().unwrap();
    let archive = work_dir.path().join("greeter.krt");
    pack_file(folder.path(), &archive, &mut |_| {}).unwrap();
    let packed = load(&archive).unwrap();
    assert_eq!(format!("{:?}", packed.version), format!("{:?}", package.version));
    assert_eq!(packed.schema.descriptors, package.schema.descriptors);

    let outside = crate::fixture::folder(&[("main.py", "")]);
    let away = outside.path().join("main.py").display().to_string();
    std::os::unix::fs::symlink(&away, at("..1/src/greeter/helper.py")).unwrap();
    let found = lines(&Loader::default().check(folder.path()).unwrap().report);
    let expected = format!(
        "src/greeter/helper.py error: the link `src/greeter/helper.py` to `{away}` leads out of the package | "
    );
    assert!(found.starts_with(&expected), "{found}");
}

#[test]
fn a_manifest_that_is_not_utf8() {
    let folder = greeter();
    fs::write(folder.path().join("krt.yml"), b"version: a\ndescription: gr\xfc\xdfe\n").unwrap();
    let report = Loader::default().check(folder.path()).unwrap().report;
    assert_eq!(
        lines(&report),
        "krt.yml:2:16 error: the file is not UTF-8 text | save it with the encoding UTF-8"
    );
    assert!(report.render(&Style::default()).contains("gr��e"));
}

#[test]
fn a_manifest_that_is_too_large() {
    let folder = greeter();
    fs::write(folder.path().join("krt.yml"), "é".repeat(manifest::MAX_BYTES)).unwrap();
    let report = Loader::default().check(folder.path()).unwrap().report;
    assert_eq!(lines(&report), "krt.yml error: the file is larger than 256 KiB");
}

#[test]
fn sources_are_found_at_the_default_paths() {
    const PACKAGE: [(&str, &str); 2] = [("krt.yml", MANIFEST), ("public_input.proto", PROTO)];
    let python = ("src/greeter/main.py", "");
    type Found<'a> = Option<(Language, &'a str, &'a str)>;
    let go = |folder, module| Some((Language::GO, folder, module));
    let rust = |folder, module| Some((Language::RUST, folder, module));
    let rows: [(&[&str], Found<'_>); 13] = [
        (&["src/counter/main.go", "src/counter/go.mod"], go("src/counter", "src/counter")),
        (&["src/counter/main.go", "src/go.mod"], go("src/counter", "src")),
        (&["src/counter/main.go", "go.mod", "bin/counter"], go("src/counter", "")),
        (&["bin/main.go", "bin/go.mod"], go("bin", "bin")),
        (&["src/counter/main.go", "bin/counter"], None),
        (&["src/counter/go.mod", "bin/counter"], None),
        (&["src/other/main.go", "src/other/go.mod", "bin/counter"], None),
        (&["go.mod", "main.go", "bin/counter"], None),
        (&["src/counter/Cargo.toml"], rust("src/counter", "src/counter")),
        (&["src/counter/Cargo.toml", "src/Cargo.toml", "bin/counter"], rust("src/counter", "src")),
        (&["bin/Cargo.toml"], rust("bin", "bin")),
        (&["src/counter/src/main.rs", "bin/counter"], None),
        (&["src/other/Cargo.toml", "Cargo.toml", "bin/counter"], None),
    ];
    for (files, expected) in rows {
        let files: Vec<_> = files.iter().map(|file| (*file, "")).chain(PACKAGE).chain([python]).collect();
        let package = load(folder(&files).path()).unwrap();
        let [greeter, counter] = &package.version.nodes[..] else { panic!("there are two nodes") };
        let build = counter.build.as_ref();
        let build = build.map(|build| (counter.language.unwrap(), &*build.folder, &*build.module));
        assert_eq!((build, &greeter.build), (expected, &None), "{files:?}");
        assert_eq!(greeter.language, Some(Language::PYTHON));
        assert_eq!(counter.src, "bin/counter");
    }
}

#[test]
fn sources_named_by_a_node_are_used() {
    let manifest = MANIFEST.replace("    src: bin/counter\n", "    src: out/it\n    build: ./cmd/count\n");
    let package = folder(&[
        ("krt.yml", &manifest),
        ("public_input.proto", PROTO),
        ("src/greeter/main.py", ""),
        ("cmd/count/main.go", ""),
        ("go.mod", ""),
    ]);
    let package = load(package.path()).unwrap();
    let counter = &package.version.nodes[1];
    let build = counter.build.as_ref().map(|build| (&*build.folder, &*build.module));
    assert_eq!((build, &*counter.src), (Some(("cmd/count", "")), "out/it"));
}

/// The findings about a package whose node `counter` has this executable.
fn findings(executable: &[u8], loader: &Loader, more: &str) -> Vec<(Severity, String)> {
    let folder = greeter();
    fs::write(folder.path().join("bin/counter"), executable).unwrap();
    let manifest = MANIFEST.replace("    gpu: true\n", &format!("    gpu: true\n{more}"));
    fs::write(folder.path().join("krt.yml"), manifest).unwrap();
    let report = loader.check(folder.path()).unwrap().report;
    report.problems().iter().map(|problem| (problem.severity, problem.to_string())).collect()
}

/// An executable for this machine, or for another, with texts in it.
fn executable(machine: u8, texts: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    bytes.extend([machine, 0]);
    bytes.extend(texts.as_bytes());
    bytes
}

const READS: &str = "KRT_NATS_INPUT KRT_NATS_MONGO_WRITER ";

/// An executable, its loader, further files, and the finding.
type Row<'a> = (Vec<u8>, &'a Loader, &'a str, Option<(Severity, &'a str)>);

#[test]
fn notes_about_executables() {
    let here = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let other = 243;
    let (local, packed) = (Loader::default(), Loader { any_system: true, ..Loader::default() });
    let note = "krt.yml:15:10: node `counter` is an executable of an older runner (kre-go): krt run provides";
    let rows: [Row<'_>; 10] = [
        (executable(here, ""), &local, "", None),
        (executable(here, READS), &local, "", Some((Severity::Note, note))),
        (executable(here, READS), &packed, "", Some((Severity::Note, note))),
        (executable(here, READS), &local, "    runner: external\n", None),
        (executable(other, READS), &packed, "", Some((Severity::Note, note))),
        (
            executable(other, ""),
            &local,
            "",
            Some((Severity::Error, "is built for Linux (riscv64), and would run on")),
        ),
        (
            b"\xcf\xfa\xed\xfe\x0c\0\0\x01".to_vec(),
            &local,
            "",
            Some((Severity::Error, "is built for macOS (aarch64)")),
        ),
        (b"\xcf\xfa\xed\xfe\x0c\0\0\x01".to_vec(), &packed, "", None),
        (
            executable(here, &(READS.to_owned() + "KRT_MONGO_DB_NAME")),
            &local,
            "",
            Some((Severity::Error, "from before KRT v1 and sends JSON")),
        ),
        (
            executable(here, &(READS.to_owned() + "KRT_IS_EXITPOINT")),
            &local,
            "",
            Some((Severity::Error, "kre-go 3 or later")),
        ),
    ];
    for (executable, loader, more, expected) in rows {
        let findings = findings(&executable, loader, more);
        let fits = match expected {
            None => findings.is_empty(),
            Some((severity, words)) => {
                findings.len() == 1 && findings[0].0 == severity && findings[0].1.contains(words)
            }
        };
        assert!(fits, "{findings:?} {expected:?}");
    }
    let both = findings(&executable(here, READS), &local, "    payload: json\n");
    assert!(
        both.iter().any(|(severity, words)| *severity == Severity::Error && words.contains("payload: json")),
        "{both:?}"
    );
}

#[test]
fn batches_need_a_runner_that_knows_them() {
    let here = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let loader = Loader::default();
    let refused = |executable: &[u8], more: &str| -> Vec<String> {
        let found = findings(executable, &loader, more).into_iter();
        found.filter(|(severity, _)| *severity == Severity::Error).map(|(_, words)| words).collect()
    };
    let cannot = "krt.yml:15:10: node `counter` cannot have `batch`: ";
    let built_with_another_sdk = refused(&executable(here, ""), "    batch: true\n");
    assert!(built_with_another_sdk.is_empty(), "the start decides: {built_with_another_sdk:?}");
    let older = refused(&executable(here, READS), "    batch: true\n");
    assert!(older[0].starts_with(&format!("{cannot}its runner gives a handler one message")), "{older:?}");
    let external = refused(&executable(here, ""), "    batch: {max: 2}\n    runner: external\n");
    assert!(external[0].starts_with(&format!("{cannot}another runner calls its handler")), "{external:?}");
}

#[test]
fn replicas_that_follow_the_load_need_a_runner_that_krt_calls() {
    let here = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let refused = |executable: &[u8], more: &str| -> Vec<String> {
        let found = findings(executable, &Loader::default(), more).into_iter();
        found.filter(|(severity, _)| *severity == Severity::Error).map(|(_, words)| words).collect()
    };
    let cannot = "krt.yml:15:10: node `counter` cannot have `replicas` that follow the load: ";
    let follow = "    replicas: {max: 2}\n";
    assert!(refused(&executable(here, ""), follow).is_empty());
    let older = refused(&executable(here, READS), follow);
    assert!(older[0].starts_with(&format!("{cannot}each process of its runner")), "{older:?}");
    let external = refused(&executable(here, ""), &format!("{follow}    runner: external\n"));
    assert!(external[0].starts_with(&format!("{cannot}another program starts")), "{external:?}");
    assert!(refused(&executable(here, READS), "    replicas: {min: 2, max: 2}\n").is_empty());
}

#[test]
fn forks_need_a_node_that_can_be_forked() {
    let cannot = "error: node `greeter` cannot have `replicas` with `share: fork`: ";
    let fork = "replicas: {max: 2, share: fork}";
    for (run, expected) in [
        ("recycle: {requests: 5}", String::new()),
        (
            "gpu: true",
            format!(
                "{cannot}a process that uses a GPU cannot be forked, and each worker sees devices of its own | remove `share`"
            ),
        ),
        (
            "recycle: {memory: 1Gi}",
            format!(
                "{cannot}with `recycle.memory` the end of one worker could replace the others: what they share then \
                 counts as theirs | remove `share`"
            ),
        ),
        ("runner: external", format!("{cannot}another program starts its processes | remove `share`")),
    ] {
        let folder = greeter();
        let run = format!("{run}\n    timeout: 500ms");
        let manifest = MANIFEST.replace("replicas: 2", fork).replace("timeout: 500ms", &run);
        fs::write(folder.path().join("krt.yml"), manifest).unwrap();
        let found = lines(&Loader::default().check(folder.path()).unwrap().report);
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(&expected) }, "{found}");
    }
    let here = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let compiled = findings(&executable(here, ""), &Loader::default(), &format!("    {fork}\n"));
    let words = "cannot have `replicas` with `share: fork`: only workers in Python can be forked";
    assert!(compiled.iter().any(|(_, found)| found.contains(words)), "{compiled:?}");
}

#[test]
fn streams_need_a_last_node_that_can_stream() {
    let external = "timeout: 500ms\n    runner: external";
    let cannot = "error: node `greeter` cannot stream the answer of `Greet`: ";
    for (run, expected) in [
        ("timeout: 500ms", String::new()),
        (
            "batch: true",
            format!(
                "{cannot}a batch has one answer for each message | remove `batch` from the node, or `stream` from the RPC"
            ),
        ),
        (
            external,
            format!(
                "{cannot}another runner calls its handler | choose a node without `runner: external`, or `stream` from the RPC"
            ),
        ),
    ] {
        let folder = greeter();
        fs::write(folder.path().join("krt.yml"), MANIFEST.replace("timeout: 500ms", run)).unwrap();
        let proto = PROTO.replace("(Response)", "(stream Response)");
        fs::write(folder.path().join("public_input.proto"), proto).unwrap();
        let found = lines(&Loader::default().check(folder.path()).unwrap().report);
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(&expected) }, "{found}");
    }
}

#[test]
fn a_cache_needs_an_rpc_without_side_effects() {
    let manifest = MANIFEST.replace("greeter]\n", "greeter]\n    cache: {ttl: 1m}\n");
    let safe = PROTO.replace("(Response);", "(Response) { option idempotency_level = NO_SIDE_EFFECTS; }");
    let cannot = "error: the answers of `Greet` cannot be kept in a `cache`: ";
    for (proto, expected) in [
        (
            PROTO.to_owned(),
            "it is not marked as free of side effects | add `option idempotency_level = NO_SIDE_EFFECTS;`",
        ),
        (
            safe.replace("(Response)", "(stream Response)"),
            "its answer is a stream | remove `cache` from the workflow",
        ),
        (safe, ""),
    ] {
        let folder = greeter();
        fs::write(folder.path().join("krt.yml"), &manifest).unwrap();
        fs::write(folder.path().join("public_input.proto"), proto).unwrap();
        let found = lines(&Loader::default().check(folder.path()).unwrap().report);
        let is_found = found.contains(&format!("{cannot}{expected}"));
        assert!(if expected.is_empty() { found.is_empty() } else { is_found }, "{found}");
    }
}

#[test]
fn samples_of_a_node_are_checked() {
    let manifest = MANIFEST
        .replace("    replicas: 2\n", "    warmup: ./samples.jsonl\n")
        .replace("src: bin/counter", "src: src/counter.py\n    warmup: inner.jsonl");
    let other = "  - name: stop\n    entrypoint: Stop\n    sequential: [greeter]\n";
    let rpc = "message Stop {} service Other { rpc Stop (Stop) returns (Response); }\n";
    let check = |manifest: &str, proto: &str, samples: &str, inner: &str| {
        let folder = folder(&[
            ("krt.yml", manifest),
            ("public_input.proto", proto),
            ("src/greeter/main.py", "async def handler(ctx, data): ...\n"),
            ("src/counter.py", "async def handler(ctx, data): ...\n"),
            ("samples.jsonl", samples),
            ("inner.jsonl", inner),
        ]);
        let report = Loader::default().check(folder.path()).unwrap().report;
        report.problems().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let good = "\u{feff}{\"first_name\": \"Ada\"}\n\n{\"firstName\": \"Grace\"}\r\n{\"@type\": \"hello.Response\"}\n";
    let typed = "{\"@type\": \"type.googleapis.com/hello.Response\", \"greeting\": \"hi\"}";
    assert_eq!(check(&manifest, PROTO, good, typed), [""; 0]);
    let bad = "{\"first_nam\": \"Ada\"}\n{}\n[1]\n{\"@type\": \"hello.Nothing\"}\n{\n";
    let found = check(&manifest, PROTO, bad, "{}");
    let expected = [
        "inner.jsonl:1:1: the node is not the first of a workflow: its input has the type that another node returns; hint: name the type: `{\"@type\": \"package.Message\", …}`",
        "samples.jsonl:1:1: ",
        "samples.jsonl:3:1: a sample must be a JSON object",
        "samples.jsonl:4:1: no `.proto` of the package has the message `hello.Nothing`",
        "samples.jsonl:5:1: ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for expected in expected {
        assert!(found.iter().any(|found| found.starts_with(expected)), "{expected}: {found:#?}");
    }
    let ambiguous = check(&format!("{manifest}{other}"), &format!("{PROTO}{rpc}"), "{}", typed);
    let words =
        "samples.jsonl:1:1: the node gets messages of several types: `hello.Request` and `hello.Stop`";
    assert!(ambiguous.iter().any(|found| found.starts_with(words)), "{ambiguous:#?}");

    for (from, to, expected) in [
        ("./samples.jsonl", "nowhere.jsonl", "`nowhere.jsonl`"),
        ("    warmup: ./", "    runner: external\n    warmup: ./", "needs a handler that krt calls"),
    ] {
        let found = check(&manifest.replace(from, to), PROTO, "{}", typed);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:#?}");
    }
    let many = "{}\n".repeat(crate::samples::MAX_SAMPLES + 1);
    for (samples, expected) in [("\n", "has no samples"), (many.as_str(), "has more than 1000 samples")] {
        let found = check(&manifest, PROTO, samples, typed);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:#?}");
    }
}
