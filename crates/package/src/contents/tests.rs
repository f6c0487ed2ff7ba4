//! The files of packages on disk.

use super::*;
use crate::fixture::folder;
use std::fs;
use std::os::unix::fs::symlink;

/// Every item, with its real path if it is behind a link.
fn items(contents: &Contents) -> Vec<String> {
    let root = &contents.root;
    let item = |(name, item): (&String, &Item)| match item {
        Item::Folder => format!("{name}/"),
        Item::File { from, .. } if *from == root.join(name) => name.clone(),
        Item::File { from, .. } => format!("{name} = {}", from.strip_prefix(root).unwrap().display()),
    };
    contents.items.iter().map(item).collect()
}

fn problems(contents: &Contents) -> Vec<String> {
    let severity = |problem: &Problem| format!("{:?}: {problem}", problem.severity);
    contents.problems().problems().iter().map(severity).collect()
}

#[test]
fn a_volume_of_kubernetes_is_a_package() {
    let folder = folder(&[
        ("..2024_11_29/krt.yml", ""),
        ("..2024_11_29/src/main.py", ""),
        ("..2024_11_29/src/helper.py", ""),
    ]);
    let at = |name: &str| folder.path().join(name);
    symlink("..2024_11_29", at("..data")).unwrap();
    symlink("..data/krt.yml", at("krt.yml")).unwrap();
    symlink("..data/src", at("src")).unwrap();
    let contents = Contents::list(folder.path()).unwrap();
    assert_eq!(
        items(&contents),
        [
            "krt.yml = ..2024_11_29/krt.yml",
            "src/",
            "src/helper.py = ..2024_11_29/src/helper.py",
            "src/main.py = ..2024_11_29/src/main.py",
        ]
    );
    assert_eq!(problems(&contents), [""; 0]);
    let root = folder.path().canonicalize().unwrap();
    let links: Vec<_> = contents.links().iter().map(|link| link.strip_prefix(&root).unwrap()).collect();
    assert_eq!(links, ["..data", "krt.yml", "src"].map(Path::new));

    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("current");
    symlink(folder.path(), &link).unwrap();
    assert_eq!(items(&Contents::list(&link).unwrap()), items(&contents), "the root may be a link");
}

#[test]
fn links_are_followed_or_reported() {
    let outside = folder(&[("secret", "")]);
    let folder = folder(&[
        ("krt.yml", ""),
        (".krtignore", "ignored-*\nbuild/\n"),
        ("src/a/main.py", ""),
        (".dvc/cache/files/ab", "model"),
    ]);
    let at = |name: &str| folder.path().join(name);
    for (name, target) in [
        ("src/b.py", "a/main.py"),
        ("twice.py", "src/b.py"),
        ("model", ".dvc/cache/files/ab"),
        ("src/up", ".."),
        ("self", "self"),
        ("gone", "nothing"),
        ("src/a/out", outside.path().join("secret").to_str().unwrap()),
        ("away", outside.path().to_str().unwrap()),
        ("ignored-away", "/etc/passwd"),
        ("ignored-gone", "nothing"),
        ("build", "/nowhere"),
        (".#main.py", "me@host.1234"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    let contents = Contents::list(folder.path()).unwrap();
    assert_eq!(
        items(&contents),
        [
            ".krtignore",
            "krt.yml",
            "model = .dvc/cache/files/ab",
            "src/",
            "src/a/",
            "src/a/main.py",
            "src/b.py = src/a/main.py",
            "twice.py = src/a/main.py",
        ]
    );
    let out = outside.path().display();
    let ignore = "or name it in `.krtignore`";
    let copy = format!("copy what it points to into the package, remove the link, {ignore}");
    assert_eq!(
        problems(&contents),
        [
            format!("Error: away: the link `away` to `{out}` leads out of the package; hint: {copy}"),
            format!(
                "Warning: gone: the link `gone` leads to `nothing`, which does not exist; hint: it is left out of the package: remove it, {ignore}"
            ),
            format!("Error: self: the link `self` to `self` forms a cycle; hint: remove it, {ignore}"),
            format!(
                "Error: src/a/out: the link `src/a/out` to `{out}/secret` leads out of the package; hint: {copy}"
            ),
            format!("Error: src/up: the link `src/up` to `..` forms a cycle; hint: remove it, {ignore}"),
        ]
    );
}

#[test]
fn exponentially_growing_links_end() {
    let folder = folder(&[("krt.yml", "")]);
    for level in 0..20 {
        let at = folder.path().join(format!("level{level}"));
        fs::create_dir(&at).unwrap();
        for name in ["a", "b", "c"] {
            symlink(format!("../level{}", level + 1), at.join(name)).unwrap();
        }
    }
    fs::create_dir(folder.path().join("level20")).unwrap();
    let found = problems(&Contents::list(folder.path()).unwrap());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("links lead to more than 100000 files"), "{found:?}");
}
