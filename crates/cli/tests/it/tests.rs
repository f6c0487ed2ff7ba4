//! `krt test` for Python nodes: which tests it finds, and which tool runs them.

use crate::support::{CommandOutput, Folder, krt, run_with};
use std::fs;

/// A stand-in for pytest, which is not installed: it prints its arguments.
const PYTEST: &str = "\
import os, sys
if __name__ == '__main__':
    print('pytest in', os.path.basename(os.getcwd()), 'of', [os.path.basename(path) for path in sys.argv[3:]])
";

const UNIT: &str = "\
import unittest
from main import handler
from public_input_pb2 import Greeting


class Tests(unittest.TestCase):
    def test_it(self):
        print('ran', __name__)
        self.assertTrue(handler)
";

fn tested(folder: &Folder, with_pytest: bool, arguments: &[&str]) -> CommandOutput {
    let mut command = krt();
    if with_pytest {
        folder.write("src/greeter/pytest.py", PYTEST);
    }
    command.current_dir(folder.path()).args(["test", "."]).args(arguments);
    run_with(command, "")
}

fn package(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::greeter("async def handler(ctx, data): ...\n");
    fs::create_dir(folder.join("src/greeter")).unwrap();
    fs::rename(folder.join("src/main.py"), folder.join("src/greeter/main.py")).unwrap();
    let manifest = fs::read_to_string(folder.join("krt.yml")).unwrap();
    folder.write("krt.yml", &manifest.replace("src/main.py", "src/greeter/main.py"));
    files.iter().for_each(|(name, text)| folder.write(name, text));
    folder
}

#[test]
fn unittest_runs_every_file_that_pytest_would_find() {
    let folder = package(&[
        ("src/greeter/test_first.py", UNIT),
        ("src/greeter/second_test.py", UNIT),
        ("src/greeter/deep/tests/test_third.py", UNIT),
        ("src/greeter/deep/other/test_third.py", UNIT),
        ("tests/test_whole.py", UNIT),
    ]);
    let ended = tested(&folder, false, &[]);
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(0), "{all}");
    for name in ["ran test_first", "ran second_test", "ran test_whole"] {
        assert!(all.contains(name), "{name}: {all}");
    }
    assert!(all.contains("Ran 4 tests") && all.contains("Ran 1 test"), "{all}");

    folder.write("src/greeter/second_test.py", &UNIT.replace("assertTrue", "assertFalse"));
    let ended = tested(&folder, false, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.ends_with("tests failed: node `greeter`\n"), "{}", ended.stdout);
    folder.write("src/greeter/second_test.py", "import nothing_of_that_name\n");
    assert_eq!(tested(&folder, false, &[]).code, Some(1), "a file that cannot be imported fails");
}

#[test]
fn test_functions_without_pytest_fail() {
    let folder = package(&[("src/greeter/test_first.py", "def test_it():\n    assert False\n")]);
    let ended = tested(&folder, false, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: add `pytest` to the node's requirements"), "{}", ended.stderr);

    let folder = package(&[("src/greeter/test_first.py", "")]);
    let ended = tested(&folder, false, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("node `greeter` has no tests"), "{}", ended.stderr);
}

/// Files of a package, and the expected runs of pytest.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn pytest_follows_its_configuration() {
    let rows: [Row<'_>; 7] = [
        (&[("src/greeter/greet_test.py", "")], &["pytest in greeter of []"]),
        (
            &[("src/greeter/checks.py", ""), ("pytest.ini", "[pytest]\npython_files = checks.py\n")],
            &["pytest in greeter of []"],
        ),
        (&[("src/greeter/checks.py", "")], &[]),
        (
            &[
                ("src/greeter/test_a.py", ""),
                ("tests/test_b.py", ""),
                ("pyproject.toml", "[tool.pytest.ini_options]\ntestpaths = [\"tests\", \"src\"]\n"),
            ],
            &["pytest in greeter of []", "of ['test_b.py']"],
        ),
        (
            &[
                ("src/greeter/test_a.py", ""),
                ("src/greeter/tests/test_b.py", ""),
                ("setup.cfg", "[tool:pytest]\ntestpaths =\n    src/*/tests\n"),
            ],
            &["pytest in greeter of ['tests']"],
        ),
        (
            &[
                ("src/greeter/test_a.py", ""),
                ("tests/test_b.py", ""),
                ("tox.ini", "[pytest]\ntestpaths = tests\n"),
            ],
            &["of ['test_b.py']"],
        ),
        (
            &[
                ("src/greeter/tests/test_a.py", ""),
                ("src/greeter/pytest.ini", "[pytest]\ntestpaths = tests\n"),
            ],
            &["pytest in greeter of []"],
        ),
    ];
    for (files, expected) in rows {
        let ended = tested(&package(files), true, &[]);
        let ran: Vec<_> = ended.stdout.lines().filter(|line| line.starts_with("pytest in")).collect();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ran.len(), expected.len(), "{files:?}: {ran:?} {}", ended.stderr);
        assert!(
            ran.iter().zip(expected).all(|(ran, expected)| ran.ends_with(expected)),
            "{files:?}: {ran:?}"
        );
    }
    let folder = package(&[("src/greeter/test_a.py", ""), ("tests/test_b.py", "")]);
    let ended = tested(&folder, true, &["--node", "greeter"]);
    assert_eq!(ended.stdout, "pytest in greeter of []\n", "only what was asked for");
}
