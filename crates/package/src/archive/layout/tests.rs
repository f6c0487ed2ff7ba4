//! Compares links in a layout with links on disk.

use super::*;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A link that the layout allows does not leave the folder on disk either.
    #[test]
    fn accepted_links_stay_inside(
        links in prop::collection::vec(("[ab](/[cd](/e)?)?", "(\\.\\./|\\./|[ab]/|[cd]/){0,4}(\\.\\.|[a-e])"), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("root");
        fs::create_dir(&root).unwrap();
        let mut layout = Layout::default();
        let mut made = Vec::new();
        for (name, target) in &links {
            let Ok(parents) = layout.claim(name, Kind::Link(target.clone()), &Limits::default()) else { continue };
            for parent in parents {
                fs::create_dir(root.join(parent)).unwrap();
            }
            made.push((name, target));
        }
        prop_assume!(layout.links().is_ok());
        for (name, target) in &made {
            symlink(target, root.join(name)).unwrap();
        }
        for (name, _) in &made {
            if let Ok(real) = root.join(name).canonicalize() {
                prop_assert!(real.starts_with(&root), "{name} leads to {}", real.display());
            }
        }
    }
}

#[test]
fn long_chains_count_as_cycles() {
    let mut layout = Layout::default();
    for n in 0..=MAX_HOPS {
        layout.claim(&format!("l{n}"), Kind::Link(format!("l{}", n + 1)), &Limits::default()).unwrap();
    }
    assert!(matches!(layout.links(), Err(Error::LinkLoop { .. })));
}
