//! Packs and unpacks random folders, and damaged archives.

use super::*;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};

/// A folder's files: their content, and whether they are executable. `None` is a folder.
type Tree = BTreeMap<String, Option<(Vec<u8>, bool)>>;

fn trees() -> impl Strategy<Value = Tree> {
    let name = "[a-zé ._-]{1,8}(/[a-z]{1,120}){0,3}".prop_filter("a real name", |name| {
        let parts = || name.split('/');
        parts().all(|part| part != "." && part != ".." && !part.starts_with("._"))
            && !name.starts_with(".krt")
            && !name.ends_with(".krt")
    });
    let file = (prop::collection::vec(any::<u8>(), 0..2_000), any::<bool>());
    prop::collection::btree_map(name, prop::option::weighted(0.9, file), 0..12).prop_map(|mut tree| {
        tree.insert("krt.yml".into(), Some((b"version: a".to_vec(), false)));
        let names: Vec<String> = tree.keys().cloned().collect();
        // A file cannot also be a folder.
        for name in names {
            let below = format!("{name}/");
            if tree.keys().any(|other| other.starts_with(&below)) {
                tree.remove(&name);
            }
        }
        tree
    })
}

fn write(tree: &Tree, root: &Path) {
    for (name, node) in tree {
        let path = root.join(name);
        match node {
            None => fs::create_dir_all(&path).unwrap(),
            Some((content, executable)) => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, content).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    }
}

fn check(tree: &Tree, root: &Path) {
    for (name, node) in tree {
        let path = root.join(name);
        match node {
            None => assert!(path.is_dir(), "{name}"),
            Some((content, executable)) => {
                assert_eq!(&fs::read(&path).unwrap(), content, "{name}");
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o111 != 0, *executable, "{name}");
            }
        }
    }
}

fn archive(root: &Path) -> Vec<u8> {
    let mut archive = Vec::new();
    pack(root, &mut archive, &mut |_| {}).unwrap();
    archive
}

fn small() -> Limits {
    Limits { total: 10 << 20, ..Limits::default() }
}

/// Unpacks damaged bytes: nothing but the folder may appear, and only when complete.
fn survive(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let result = unpack(bytes, &folder.path().join("out"), &small());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), usize::from(result.is_ok()), "{result:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn archives_round_trip(tree in trees()) {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        write(&tree, &from);
        let bytes = archive(&from);
        unpack(bytes.as_slice(), &to, &small()).unwrap();
        check(&tree, &to);
        prop_assert_eq!(archive(&to), bytes, "the same content, the same bytes");
    }

    #[test]
    fn damage_never_panics_or_leaves_files(
        tree in trees(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        write(&tree, folder.path());
        let mut packed = archive(folder.path());
        let mut tar = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut tar).unwrap();
        for bytes in [&mut packed, &mut tar] {
            for (place, value) in &damage {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            if let Some(cut) = &cut {
                bytes.truncate(cut.index(bytes.len()));
            }
        }
        survive(&packed);
        // Damage below gzip's checksum: in the tar's headers.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&tar).unwrap();
        survive(&encoder.finish().unwrap());
    }

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&bytes);
        survive(&[&[0x1f, 0x8b, 8, 0], bytes.as_slice()].concat());
    }
}

#[test]
fn the_x_bit_follows_read_permission() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tool");
    fs::write(&path, "").unwrap();
    for (before, after) in [(0o644, 0o755), (0o600, 0o700), (0o640, 0o750), (0o744, 0o744), (0o666, 0o777)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        set_executable(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, after, "{before:o}");
    }
}
