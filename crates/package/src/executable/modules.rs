//! The modules of a Go executable. Since 1.12, Go embeds their list between the same two markers in every
//! format, even when symbols are stripped.

use memchr::memmem;

/// The markers before and after the list (Go's `cmd/go/internal/modload`, `infoStart` and `infoEnd`).
const START: [u8; 16] = *b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6";
const END: [u8; 16] = *b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2";

/// The longest list, in bytes.
const MAX_LIST: usize = 1 << 20;

/// A module of an executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Module<'a> {
    pub(super) path: &'a str,
    pub(super) version: &'a str,
}

/// The modules, by import path; empty without a list.
pub(super) fn of(bytes: &[u8]) -> Vec<Module<'_>> {
    let lists = memmem::find_iter(bytes, &START).filter_map(|at| list(&bytes[at + START.len()..]));
    lists.map(parse).find(|modules| !modules.is_empty()).unwrap_or_default()
}

fn list(rest: &[u8]) -> Option<&str> {
    let rest = &rest[..rest.len().min(MAX_LIST)];
    std::str::from_utf8(&rest[..memmem::find(rest, &END)?]).ok()
}

/// Parses tab-separated lines: `dep`, the module's path, its version, its hash.
fn parse(list: &str) -> Vec<Module<'_>> {
    let module = |line| {
        let mut words = str::split(line, '\t');
        match words.next()? {
            "mod" | "dep" => Some(Module { path: words.next()?, version: words.next().unwrap_or_default() }),
            _ => None,
        }
    };
    list.lines().filter_map(module).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A minimal Linux executable with a list of modules.
    pub(in super::super) fn executable(list: &str, texts: &str) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0 noise ".to_vec();
        if !list.is_empty() {
            bytes.extend([&START[..], list.as_bytes(), &END[..]].concat());
        }
        bytes.extend(texts.as_bytes());
        bytes
    }

    #[test]
    fn lists() {
        let module = |path, version| Module { path, version };
        let list = "path\tetl\nmod\tetl\t(devel)\t\ndep\ta/b\tv1.2.3\th1:x=\ndep\tc\tv2.0.0\n=>\t./c\t(devel)\t\nbuild\tGOOS=linux\n";
        let expected = [module("etl", "(devel)"), module("a/b", "v1.2.3"), module("c", "v2.0.0")];
        assert_eq!(of(&executable(list, "")), expected);
        assert_eq!(of(&executable("", "no list")), []);
        let cut = executable(list, "");
        assert_eq!(of(&cut[..cut.len() - 1]), []);
        // A list that is only a constant of the program stands before the executable's own.
        let twice = [executable("nothing", ""), executable("dep\ta\tv1\n", "")].concat();
        assert_eq!(of(&twice), [module("a", "v1")]);
    }

    proptest! {
        #[test]
        fn never_panics(list in ".*", noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = of(&[executable(&list, "x"), noise].concat());
        }
    }
}
