//! Backups: all data is lost, and restored.

use crate::support::{
    Krt, eventually,
    krt::command,
    team::{Team, version},
};
use http::StatusCode;
use krt_servers::skipped;
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

/// Runs `krt` with words, followed by paths.
fn krt(words: &[&str], paths: &[&Path]) -> Output {
    command().args(words).args(paths).output().expect("the binary can be executed")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The standard output of a command that must succeed.
fn stdout_of(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The standard error of a command that must fail.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

const SAVE: &str = "
async def init(ctx):
    await ctx.db.save('starts', {'node': 'namer'})
";

#[tokio::test]
async fn a_lost_server_is_restored_from_a_backup() {
    let parent = tempfile::tempdir().unwrap();
    let (data, backup) = (parent.path().join("data"), parent.path().join("backup"));
    fs::create_dir(&data).unwrap();
    let team = Team::with_shop(&data).await;
    team.upload("v1", SAVE).await;
    team.api.act("v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("v1", "STARTED").await;
    team.api.act("v1", "publish").await.expect(StatusCode::OK);
    team.client().call("Name", json!({})).await.unwrap();
    let logged = async |team: &Team| {
        let page = team.api.get("/runtimes/shop/logs?text=asked").await.expect(StatusCode::OK);
        (page["logs"].as_array().unwrap().len() == 1).then_some(())
    };
    eventually("the request is logged", async || logged(&team).await).await;

    let made = stdout_of(&krt(&["backup", "--data"], &[&data, &backup]));
    assert!(made.contains("a server with 1 version"), "{made}");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o700);
    // Later changes are not in the backup.
    team.upload("v2", "").await;
    let token = team.api.token().to_owned();
    team.kill().await;
    fs::remove_dir_all(&data).unwrap();

    let restored = stdout_of(&krt(&["restore"], &[&backup, Path::new("--data"), &data]));
    assert!(restored.contains("krt serve --data"), "{restored}");
    let team = Team::start(&data).await;
    team.until("v1", "PUBLISHED").await;
    assert_eq!(team.client().call("Name", json!({})).await.unwrap(), json!({"text": "v1"}));
    let old = team.api.with_token(&token);
    let versions = old.get("/runtimes/shop/versions").await.expect(StatusCode::OK);
    let versions: Vec<_> = versions.as_array().unwrap().iter().map(|version| &version["name"]).collect();
    assert_eq!(versions, ["v1"]);
    let starts =
        krt(&["data", "documents", "starts", "--json", "--data"], &[&data.join("runtimes/shop/store")]);
    // One from the first start, one from the start after the restore.
    assert_eq!(stdout_of(&starts).lines().count(), 2);
    team.stop().await;
}

#[tokio::test]
async fn modified_backups_are_not_restored() {
    let parent = tempfile::tempdir().unwrap();
    let (data, backup, target) =
        (parent.path().join("data"), parent.path().join("backup"), parent.path().join("target"));
    let team = Team::with_shop(&data).await;
    team.upload("v1", "").await;
    team.stop().await;
    stdout_of(&krt(&["backup", "--data"], &[&data, &backup]));
    let words = refused(&krt(&["backup", "--data"], &[&data, &backup]));
    assert!(words.contains("is not empty"), "{words}");
    let words = refused(&krt(&["restore"], &[&backup, Path::new("--data"), &data]));
    assert!(words.contains("is not empty"), "{words}");

    let archive = backup.join("runtimes/shop/versions/v1/package.krt");
    let mut bytes = fs::read(&archive).unwrap();
    bytes[40] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let words = refused(&krt(&["restore"], &[&backup, Path::new("--data"), &target]));
    assert!(words.contains("package.krt` is not as it was when the backup was made"), "{words}");
    assert!(!target.exists(), "half a restoration is left");

    let manifest = backup.join("backup.json");
    let outside = fs::read_to_string(&manifest).unwrap().replace("registry.db", "../../registry.db");
    fs::write(&manifest, outside).unwrap();
    let words = refused(&krt(&["restore"], &[&backup, Path::new("--data"), &target]));
    assert!(words.contains("which is not in the backup"), "{words}");
}

#[tokio::test]
async fn krt_run_data_is_backed_up_and_restored() {
    let parent = tempfile::tempdir().unwrap();
    let (data, backup, target) =
        (parent.path().join("data"), parent.path().join("backup"), parent.path().join("target"));
    let service = Krt::run_at(version("v1", SAVE).path()).data(&data).start().await;
    service.call("Name", json!({})).await.unwrap();
    stdout_of(&krt(&["backup", "--data"], &[&data, &backup]));
    service.stop().await;
    // Like the root of a volume.
    fs::create_dir(&target).unwrap();
    stdout_of(&krt(&["restore"], &[&backup, Path::new("--data"), &target]));
    assert_eq!(fs::read_dir(&target).unwrap().count(), 2);
    let starts = krt(&["data", "documents", "starts", "--json", "--data"], &[&target]);
    assert_eq!(stdout_of(&starts).lines().count(), 1);
    let words =
        refused(&krt(&["backup", "--data"], &[&parent.path().join("nothing"), &parent.path().join("b")]));
    assert!(words.contains("has no data of `krt serve` or `krt run`"), "{words}");
}

#[tokio::test]
async fn a_missing_registry_stops_the_start_and_deletes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", "").await;
    team.api.get("/runtimes/shop/logs").await.expect(StatusCode::OK);
    team.stop().await;
    for file in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let _ = fs::remove_file(data.path().join(file));
    }
    let described = version("described", "");
    let ended = Krt::serve(described.path()).data(data.path()).end().await;
    let words = ended.lines.text();
    assert_eq!(ended.code, Some(1), "{words}");
    assert!(words.contains("registry.db` is missing or empty") && words.contains("`krt restore`"), "{words}");
    let kept = data.path().join("runtimes/shop");
    assert!(kept.join("versions/v1/package.krt").exists() && kept.join("store/documents.db").exists());
}

#[tokio::test]
async fn damaged_telemetry_is_reported_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.started("v1").await;
    team.stop().await;
    let store = data.path().join("runtimes/shop/store");
    fs::write(store.join("telemetry.db"), "x".repeat(10_000)).unwrap();
    let team = Team::start(data.path()).await;
    team.until("v1", "STARTED").await;
    team.lines
        .wait("the warning", |record| record.message.contains("telemetry.db` is damaged and was moved"))
        .await;
    team.stop().await;
    let aside = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_database = |name: &String| {
        name.starts_with("telemetry.db.damaged-") && !name.contains("-wal") && !name.contains("-shm")
    };
    assert_eq!(aside.filter(is_database).count(), 1);
}

/// A separate small disk, if root can create one; `None` elsewhere.
pub(crate) struct Disk(pub(crate) std::path::PathBuf);

impl Disk {
    pub(crate) fn mount(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir(path).expect("there is room for a folder");
        let options = format!("size={size}");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path)
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path.to_owned()));
        }
        skipped("a full disk", "the right to mount one");
        None
    }

    /// Fills the free space.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.0.join("fill")).expect("there is room for a name");
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_server_restarts_repeatedly_on_a_full_disk() {
    let parent = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&parent.path().join("disk"), "160m") else { return };
    let data = disk.0.join("data");
    let team = Team::with_shop(&data).await;
    team.started("v1").await;
    team.api.act("v1", "publish").await.expect(StatusCode::OK);
    team.stop().await;
    disk.fill();
    for killed in [true, true, false] {
        let team = Team::start(&data).await;
        team.until("v1", "PUBLISHED").await;
        assert_eq!(team.client().call("Name", json!({})).await.unwrap(), json!({"text": "v1"}));
        if killed {
            team.kill().await;
        } else {
            team.stop().await;
        }
    }
}

#[tokio::test]
async fn files_of_a_server_are_private() {
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let write = "
with open('written', 'w') as file:
    file.write('x')
";
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", write).await;
    team.api.act("v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("v1", "STARTED").await;
    let mut folders = vec![data.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files += 1;
                let mode = entry.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
            }
        }
    }
    assert!(files > 8, "{files}");
    team.stop().await;
}
