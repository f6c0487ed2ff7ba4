//! Links on a disk: their targets, and refusals.

use super::*;
use crate::fixture::folder;
use proptest::prelude::*;
use std::os::unix::fs::symlink;

/// A summary of a path: its target relative to the root, and the number of links on the way.
fn summary(root: &Path, path: &str) -> String {
    match follow(root, Path::new(path)) {
        Ok(found) => {
            format!("{} by {}", found.real.strip_prefix(root).unwrap().display(), found.hops.len())
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn targets_of_links() {
    let outside = folder(&[("secret.py", ""), ("back/x", "")]);
    let base = folder(&[("package/src/a.py", ""), ("package/..2024/main.py", ""), ("package/plain", "")]);
    let base_path = base.path().canonicalize().unwrap();
    let root = base_path.join("package");
    let link = |target: &str, name: &str| symlink(target, root.join(name)).unwrap();
    symlink(&root, base_path.join("current")).unwrap();
    symlink(root.join("src"), outside.path().join("inside")).unwrap();
    let there = outside.path().canonicalize().unwrap();
    let there = there.to_str().unwrap();
    link("..2024", "..data");
    link("..data/main.py", "main.py");
    link("main.py", "chain.py");
    link(root.join("src/a.py").to_str().unwrap(), "absolute.py");
    link(base_path.join("current/src/a.py").to_str().unwrap(), "by-the-link-of-the-root.py");
    link("../package/src", "around");
    link(".", "here");
    link("self", "self");
    link("two", "one");
    link("one", "two");
    link("nothing", "dangling");
    link("../gone", "gone");
    link("/no/such/place", "nowhere");
    link("..", "up");
    link(&format!("{there}/secret.py"), "out.py");
    link("out.py", "by-out.py");
    link(there, "away");
    link(&format!("{there}/inside/a.py"), "by-outside.py");
    link("plain/x", "below-a-file");
    let out = |name: &str, target: &str| format!("the link `{name}` to `{target}` leads out of the package");
    for (path, expected) in [
        ("src/a.py", "src/a.py by 0".to_owned()),
        ("main.py", "..2024/main.py by 2".to_owned()),
        ("chain.py", "..2024/main.py by 3".to_owned()),
        ("absolute.py", "src/a.py by 1".to_owned()),
        ("by-the-link-of-the-root.py", "src/a.py by 1".to_owned()),
        ("around/a.py", "src/a.py by 1".to_owned()),
        ("here", " by 1".to_owned()),
        ("here/here/src", "src by 2".to_owned()),
        ("self", "the link `self` to `self` forms a cycle".to_owned()),
        ("one", "the link `one` to `two` forms a cycle".to_owned()),
        ("dangling", "the link `dangling` leads to `nothing`, which does not exist".to_owned()),
        ("below-a-file", "the link `below-a-file` leads to `plain/x`, which does not exist".to_owned()),
        ("none", "it does not exist".to_owned()),
        ("gone", out("gone", "../gone")),
        ("nowhere", out("nowhere", "/no/such/place")),
        ("up", out("up", "..")),
        ("out.py", out("out.py", &format!("{there}/secret.py"))),
        ("by-out.py", out("out.py", &format!("{there}/secret.py"))),
        ("away/secret.py", out("away", there)),
        ("by-outside.py", out("by-outside.py", &format!("{there}/inside/a.py"))),
    ] {
        assert_eq!(summary(&root, path), expected, "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A followed path agrees with the kernel's, and is inside.
    #[test]
    fn the_kernel_agrees(
        links in prop::collection::vec(("[ab](/[cd](/e)?)?", "(\\.\\./|\\./|[ab]/|[cd]/){0,4}(\\.\\.|[a-e])"), 1..6),
    ) {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap().join("root");
        fs::create_dir(&root).unwrap();
        let mut made = Vec::new();
        for (name, target) in &links {
            let path = root.join(name);
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && symlink(target, &path).is_ok() {
                made.push(name);
            }
        }
        for name in made {
            let kernel = root.join(name).canonicalize();
            match follow(&root, Path::new(name)) {
                Ok(found) => {
                    prop_assert!(found.real.starts_with(&root));
                    prop_assert_eq!(Some(found.real), kernel.ok());
                }
                Err(Error::Outside(_)) => prop_assert!(kernel.is_err() || !kernel.unwrap().starts_with(&root)),
                Err(_) => prop_assert!(kernel.is_err()),
            }
        }
    }
}
