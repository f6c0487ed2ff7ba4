//! Runtimes, versions, their configuration and boards.

use crate::{Fixture, name};
use krt_model::team::{AuditAction, Role, State, VersionAction};
use krt_registry::{
    AuditFilter, Error, Layout, NewBoard, Noun, Registry, RuntimeChange, Snapshot, Value, Version,
    state::Event,
};
use std::{collections::BTreeMap, fs};

impl Fixture {
    fn act(&self, version: &str, action: VersionAction) -> Result<Version, Error> {
        self.registry.act(&self.ada, &name("shop"), &name(version), action)
    }

    fn on(&self, version: &str, event: Event) -> Version {
        self.registry.record_event(&name("shop"), &name(version), event, &[]).unwrap()
    }

    fn state(&self, version: &str) -> State {
        self.registry.version(&name("shop"), &name(version)).unwrap().state
    }

    fn publish(&self, version: &str) {
        self.upload(version, &[]).unwrap();
        self.act(version, VersionAction::Start).unwrap();
        self.on(version, Event::Ready);
        self.act(version, VersionAction::Publish).unwrap();
    }

    fn set(&self, version: &str, key: &str, value: Option<&str>) {
        let values = BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]);
        self.registry.change_config(&self.ada, &name("shop"), &name(version), &values).unwrap();
    }

    fn value(&self, version: &str, key: &str) -> Option<String> {
        let values = self.registry.values(&name("shop"), &name(version)).unwrap();
        values.get(key).map(|value| value.reveal().to_owned())
    }
}

#[test]
fn versions_are_created_and_deleted_with_their_files() {
    let fixture = Fixture::new();
    let version = fixture.upload("v1", &[]).unwrap();
    assert_eq!((version.state, &*version.created_by), (State::Created, "ada"));
    let place = fixture.registry.folder().version(&name("shop"), &name("v1"));
    assert_eq!(fs::read(place.archive()).unwrap(), b"bytes");
    assert!(matches!(fixture.upload("v1", &[]), Err(Error::Taken { noun: Noun::Version, .. })));

    fixture.act("v1", VersionAction::Delete).unwrap();
    assert!(!place.folder().exists());
    assert!(matches!(
        fixture.act("v1", VersionAction::Start),
        Err(Error::Missing { noun: Noun::Version, .. })
    ));
    fixture.upload("v1", &[]).unwrap();
}

#[test]
fn a_refused_change_leaves_no_trace() {
    let fixture = Fixture::new();
    fixture.upload("v1", &[]).unwrap();
    let before = fixture.registry.audit(&AuditFilter::default(), 100).unwrap();
    assert!(matches!(fixture.act("v1", VersionAction::Publish), Err(Error::Refused(_))));
    assert_eq!(fixture.registry.audit(&AuditFilter::default(), 100).unwrap(), before);
    assert_eq!(fixture.state("v1"), State::Created);
}

#[test]
fn publishing_replaces_the_published_version() {
    let fixture = Fixture::new();
    fixture.publish("v1");
    fixture.publish("v2");
    assert_eq!((fixture.state("v1"), fixture.state("v2")), (State::Started, State::Published));
    assert_eq!(fixture.registry.runtime(&name("shop")).unwrap().published.as_deref(), Some("v2"));
    let refused = fixture.registry.delete_runtime(&fixture.ada, &name("shop"));
    assert!(matches!(refused, Err(Error::Runs { .. })));
}

#[test]
fn a_rollback_restores_the_previous_version_in_any_state() {
    let fixture = Fixture::new();
    let shop = name("shop");
    let back = || fixture.registry.roll_back(&fixture.ada, &shop);
    assert!(matches!(back(), Err(Error::NothingBefore { .. })));
    fixture.publish("v1");
    assert!(matches!(back(), Err(Error::NothingBefore { .. })));
    fixture.publish("v2");
    assert_eq!(back().unwrap().name, "v1");
    assert_eq!((fixture.state("v1"), fixture.state("v2")), (State::Published, State::Started));

    fixture.act("v2", VersionAction::Stop).unwrap();
    fixture.on("v2", Event::Ended);
    assert_eq!(back().unwrap().state, State::Starting);
    assert_eq!(fixture.state("v1"), State::Published);
    assert_eq!(fixture.on("v2", Event::Ready).state, State::Published);
    assert_eq!(fixture.state("v1"), State::Started);
}

#[test]
fn failed_rollbacks_keep_the_published_version() {
    let fixture = Fixture::new();
    fixture.publish("v1");
    fixture.publish("v2");
    fixture.act("v1", VersionAction::Stop).unwrap();
    fixture.on("v1", Event::Ended);
    fixture.registry.roll_back(&fixture.ada, &name("shop")).unwrap();
    assert_eq!(fixture.on("v1", Event::Failed).state, State::Error);
    assert_eq!(fixture.state("v2"), State::Published);
}

/// The version that the rollback replaces may be ready first.
#[test]
fn interrupted_rollbacks_continue_after_a_restart() {
    let rows = [("v1", State::Published), ("v2", State::Started)];
    for rows in [rows, [rows[1], rows[0]]] {
        let fixture = Fixture::new();
        fixture.publish("v1");
        fixture.publish("v2");
        fixture.act("v1", VersionAction::Stop).unwrap();
        fixture.on("v1", Event::Ended);
        fixture.registry.roll_back(&fixture.ada, &name("shop")).unwrap();
        let fixture = fixture.reopen();
        fixture.registry.boot().unwrap();
        for (version, state) in rows {
            assert_eq!(fixture.on(version, Event::Ready).state, state);
        }
        assert_eq!((fixture.state("v1"), fixture.state("v2")), (State::Published, State::Started));
    }
}

#[test]
fn a_rollback_needs_all_values_of_a_version_that_must_start() {
    let fixture = Fixture::new();
    fixture.upload("v1", &["KEY"]).unwrap();
    fixture.set("v1", "KEY", Some("secret"));
    fixture.act("v1", VersionAction::Start).unwrap();
    fixture.on("v1", Event::Ready);
    fixture.act("v1", VersionAction::Publish).unwrap();
    fixture.set("v1", "KEY", None);
    let back = || fixture.registry.roll_back(&fixture.ada, &name("shop"));
    fixture.publish("v2");
    assert_eq!(back().unwrap().state, State::Published, "it runs");

    fixture.act("v2", VersionAction::Publish).unwrap();
    fixture.act("v1", VersionAction::Stop).unwrap();
    fixture.on("v1", Event::Ended);
    match back() {
        Err(Error::Incomplete { missing }) => assert_eq!(missing, ["KEY"]),
        other => panic!("{other:?}"),
    }
    assert_eq!((fixture.state("v1"), fixture.state("v2")), (State::Stopped, State::Published));
}

#[test]
fn a_restart_starts_started_and_published_versions() {
    let fixture = Fixture::new();
    fixture.publish("published");
    for version in ["started", "starting", "stopping", "failed", "created"] {
        fixture.upload(version, &[]).unwrap();
    }
    for version in ["started", "starting", "stopping", "failed"] {
        fixture.act(version, VersionAction::Start).unwrap();
    }
    fixture.on("started", Event::Ready);
    fixture.act("stopping", VersionAction::Stop).unwrap();
    let why = ["no such file".to_owned()];
    fixture.registry.record_event(&name("shop"), &name("failed"), Event::Failed, &why).unwrap();

    let fixture = fixture.reopen();
    let boot = fixture.registry.boot().unwrap();
    let found: Vec<_> = boot.iter().map(|version| (&*version.name, version.is_to_be_published())).collect();
    assert_eq!(found, [("published", true), ("started", false), ("starting", false)]);
    assert_eq!(fixture.state("stopping"), State::Stopped);
    let failed = fixture.registry.version(&name("shop"), &name("failed")).unwrap();
    assert_eq!((failed.state, failed.reasons), (State::Error, why.to_vec()));
    assert_eq!(fixture.on("published", Event::Ready).state, State::Published);
    assert_eq!(fixture.on("started", Event::Ready).state, State::Started);
}

#[test]
fn files_without_a_version_are_moved_to_lost_at_the_start() {
    let fixture = Fixture::new();
    fixture.upload("v1", &[]).unwrap();
    let place = fixture.registry.folder().version(&name("shop"), &name("v2"));
    fs::create_dir_all(place.folder()).unwrap();
    fs::write(place.archive(), "unknown").unwrap();
    let orphan = fixture.registry.folder().store(&name("bank"));
    fs::create_dir_all(&orphan).unwrap();
    fs::write(orphan.join("documents.db"), "dear").unwrap();
    let fixture = fixture.reopen();
    assert!(!place.folder().exists() && !orphan.exists());
    let lost = |prefix: &str, file: &str| {
        let entries = fs::read_dir(fixture.registry.folder().lost()).unwrap();
        let found = entries.map(|entry| entry.unwrap().path());
        let found = found.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix));
        found.map(|path| fs::read_to_string(path.join(file)).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(lost("shop-versions-v2-", "package.krt"), ["unknown"]);
    assert_eq!(lost("bank-", "store/documents.db"), ["dear"]);
    assert!(fixture.registry.folder().version(&name("shop"), &name("v1")).archive().exists());
}

#[test]
fn a_new_registry_beside_runtimes_is_refused() {
    let fixture = Fixture::new();
    fixture.upload("v1", &[]).unwrap();
    let archive = fixture.registry.folder().version(&name("shop"), &name("v1")).archive();
    let database = fixture.registry.folder().database();
    let folder = fixture.close();
    for emptied in [false, true] {
        fs::remove_file(&database).unwrap();
        if emptied {
            fs::write(&database, "").unwrap();
        }
        // Repeatedly: a refusal leaves no files that pass for a registry.
        for _ in 0..2 {
            match Registry::open(folder.path()) {
                Err(Error::NoRegistry { path, runtimes }) => {
                    assert_eq!((path, runtimes), (database.clone(), vec!["shop".to_owned()]));
                }
                other => panic!("{other:?}"),
            }
        }
        fs::write(&database, "").unwrap();
    }
    assert!(archive.exists());
}

#[test]
fn a_snapshot_is_one_timestamp_of_the_registry_and_its_packages() {
    let fixture = Fixture::new();
    fixture.upload("v1", &[]).unwrap();
    let layout = Layout::new(fixture.registry.folder().path());
    let (snapshot, runtimes) = Snapshot::take(&layout, |runtimes| Ok::<_, Error>(runtimes.to_vec())).unwrap();
    assert_eq!(runtimes, [name("shop")]);
    fixture.upload("v2", &[]).unwrap();
    fixture.act("v1", VersionAction::Delete).unwrap();
    let copy = tempfile::tempdir().unwrap();
    snapshot.write(&Layout::new(copy.path())).unwrap();
    let copy = Registry::open(copy.path()).unwrap();
    let versions = copy.versions(&name("shop")).unwrap();
    assert_eq!(versions.iter().map(|version| &*version.name).collect::<Vec<_>>(), ["v1"]);
    let archive = copy.folder().version(&name("shop"), &name("v1")).archive();
    assert_eq!(fs::read_to_string(archive).unwrap(), "bytes");
}

#[test]
fn a_start_needs_all_values() {
    let fixture = Fixture::new();
    assert_eq!(fixture.upload("v1", &["KEY", "HOST"]).unwrap().missing_config, ["KEY", "HOST"]);
    fixture.set("v1", "KEY", Some("secret"));
    match fixture.act("v1", VersionAction::Start) {
        Err(Error::Incomplete { missing }) => assert_eq!(missing, ["HOST"]),
        other => panic!("{other:?}"),
    }
    fixture.set("v1", "HOST", Some(""));
    assert_eq!(fixture.act("v1", VersionAction::Start).unwrap().state, State::Starting);
}

#[test]
fn values_come_from_the_newest_earlier_version() {
    let fixture = Fixture::new();
    for version in ["v1", "v2", "v3", "v4"] {
        fixture.upload(version, &["KEY"]).unwrap();
    }
    fixture.set("v1", "KEY", Some("one"));
    assert_eq!(fixture.value("v4", "KEY").as_deref(), Some("one"));
    fixture.set("v3", "KEY", Some("three"));
    assert_eq!(fixture.value("v2", "KEY").as_deref(), Some("one"));
    assert_eq!(fixture.value("v4", "KEY").as_deref(), Some("three"));
    fixture.set("v3", "KEY", None);
    assert_eq!(fixture.value("v4", "KEY").as_deref(), Some("one"));

    // A deleted version leaves its values to the next one.
    fixture.act("v1", VersionAction::Delete).unwrap();
    assert_eq!(fixture.value("v4", "KEY").as_deref(), Some("one"));
    let entries = fixture.registry.config(Role::Manager, &name("shop"), &name("v4")).unwrap();
    assert_eq!(entries[0].inherited_from.as_deref(), Some("v2"));
}

#[test]
fn values_are_visible_to_managers_and_never_logged() {
    let fixture = Fixture::new();
    fixture.upload("v1", &["KEY"]).unwrap();
    fixture.set("v1", "KEY", Some("hunter2"));
    let entries = |role| fixture.registry.config(role, &name("shop"), &name("v1")).unwrap();
    let viewed = entries(Role::Viewer).remove(0);
    assert_eq!((viewed.set, viewed.value), (true, None));
    let value = entries(Role::Manager).remove(0).value;
    assert_eq!(value.flatten().as_ref().map(Value::reveal), Some("hunter2"));
    assert!(!format!("{:?}", entries(Role::Manager)).contains("hunter2"));
    let audit = fixture.registry.audit(&AuditFilter::default(), 100).unwrap();
    assert_eq!(audit[0].action, AuditAction::ConfigChanged);
    assert!(!format!("{audit:?}").contains("hunter2"));
}

#[test]
fn actions_are_audited_with_their_comment() {
    let fixture = Fixture::new();
    fixture.publish("v1");
    let filter = AuditFilter { version: Some(name("v1")), ..AuditFilter::default() };
    let entries = fixture.registry.audit(&filter, 100).unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry.action).collect();
    assert_eq!(
        actions,
        [AuditAction::VersionPublished, AuditAction::VersionStarted, AuditAction::VersionCreated]
    );
    assert!(entries.iter().all(|entry| entry.comment == "because" && entry.login == "ada"));
    let older = AuditFilter { before: Some(entries[0].id), ..filter };
    assert_eq!(fixture.registry.audit(&older, 1).unwrap(), entries[1..2]);
}

#[test]
fn failures_are_audited_with_their_reasons() {
    let fixture = Fixture::new();
    fixture.publish("v1");
    let why = ["no such file", "and no other"].map(str::to_owned);
    fixture.registry.record_event(&name("shop"), &name("v1"), Event::Failed, &why).unwrap();
    let entry = fixture.registry.audit(&AuditFilter::default(), 1).unwrap().remove(0);
    assert_eq!((entry.action, &*entry.login), (AuditAction::VersionFailed, "krt"));
    assert_eq!(entry.comment, "no such file\nand no other");
}

#[test]
fn a_host_name_belongs_to_one_runtime() {
    let fixture = Fixture::new();
    fixture.runtime("bank", &["Bank.example.com"]).unwrap();
    assert!(matches!(
        fixture.runtime("other", &["bank.example.com"]),
        Err(Error::Taken { noun: Noun::Host, .. })
    ));
    assert!(matches!(fixture.runtime("other", &["a/b"]), Err(Error::Text { .. })));
    // The refused one leaves nothing behind.
    assert_eq!(fixture.registry.runtimes().unwrap().len(), 2);
}

#[test]
fn boards() {
    let fixture = Fixture::new();
    let shop = name("shop");
    let new = |name: &str| NewBoard { name: name.to_owned(), charts: serde_json::json!([{"title": "t"}]) };
    let save =
        |id: Option<&str>, name: &str| fixture.registry.save_board(&fixture.ada, &shop, id, &new(name));
    let board = save(None, "mine").unwrap();
    assert!(matches!(save(None, "mine"), Err(Error::Taken { noun: Noun::Board, .. })));
    assert_eq!(save(Some(&board.id), "ours").unwrap().id, board.id);
    assert_eq!(fixture.registry.boards(&shop).unwrap().len(), 1);
    fixture.registry.delete_board(&fixture.ada, &shop, &board.id).unwrap();
    assert!(matches!(save(Some(&board.id), "x"), Err(Error::Missing { noun: Noun::Board, .. })));
}

#[test]
fn texts_are_bounded() {
    let fixture = Fixture::new();
    let shop = name("shop");
    let is_refused = |result: Result<(), Error>| match result {
        Ok(()) => false,
        Err(error) => matches!(error, Error::Text { .. }),
    };
    let hosts: Vec<_> = (0..21).map(|number| format!("h{number}")).collect();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    assert!(
        is_refused(fixture.runtime("other", &hosts)) && !is_refused(fixture.runtime("bank", &hosts[1..]))
    );
    let described = |length| {
        let change = RuntimeChange { description: Some("x".repeat(length)), ..RuntimeChange::default() };
        fixture.registry.change_runtime(&fixture.ada, &shop, &change).map(drop)
    };
    assert!(is_refused(described(501)) && !is_refused(described(500)));
    fixture.upload("v1", &["A"]).unwrap();
    let valued = |value: &str| {
        let values = [("A".to_owned(), Some(value.to_owned()))].into();
        fixture.registry.change_config(&fixture.ada, &shop, &name("v1"), &values).map(drop)
    };
    assert!(is_refused(valued(&"x".repeat(128_001))) && !is_refused(valued(&"x".repeat(128_000))));
    assert!(is_refused(valued("a\0b")));
    let saved = |charts: serde_json::Value| {
        let board = NewBoard { name: "mine".to_owned(), charts };
        fixture.registry.save_board(&fixture.ada, &shop, None, &board).map(drop)
    };
    let chart = serde_json::json!({"title": "t"});
    let large = serde_json::json!([{"title": "x".repeat(256 << 10)}]);
    assert!(is_refused(saved(vec![chart.clone(); 51].into())) && is_refused(saved(large)));
    assert!(is_refused(saved(chart.clone())) && !is_refused(saved(vec![chart; 50].into())));
}
