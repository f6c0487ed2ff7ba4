//! Which file decides, and what it comes to.

use super::entry::USUAL_HOST;
use super::*;
use std::str::FromStr;
use tempfile::TempDir;

/// A package's root with some files in it.
fn package(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn plan_of(root: &TempDir, src: &str) -> Option<Plan> {
    Plan::of(root.path(), Path::new(src)).unwrap()
}

fn problem_of(files: &[(&str, &str)]) -> String {
    let root = package(files);
    let problem = Plan::of(root.path(), Path::new("main.py")).unwrap_err().to_string();
    problem.replace(&format!("{}/", root.path().display()), "")
}

/// The lines and pins that files are translated to.
fn translated(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let plan = plan_of(&package(files), "main.py").unwrap();
    match plan.wanted {
        Wanted::Lines(lines) => (lines, plan.pins),
        Wanted::File => panic!("not translated"),
    }
}

#[test]
fn the_nearest_file_upward_decides() {
    let root = package(&[
        ("requirements.txt", "at-the-root"),
        ("src/a/requirements.txt", "of-a"),
        ("src/b/main.py", ""),
        ("src/c/pyproject.toml", "[tool.ruff]\nline-length = 100"),
        ("src/d/Pipfile", "[packages]\nof-d = '*'"),
    ]);
    for (src, file) in [
        ("src/a/main.py", "src/a/requirements.txt"),
        ("src/a/deep/er/main.py", "src/a/requirements.txt"),
        ("src/b/main.py", "requirements.txt"),
        ("src/c/main.py", "requirements.txt"),
        ("src/d/main.py", "src/d/Pipfile"),
        ("src/d/../a/main.py", "src/a/requirements.txt"),
        ("./src/./d/main.py", "src/d/Pipfile"),
        ("main.py", "requirements.txt"),
        ("../../main.py", "requirements.txt"),
    ] {
        assert_eq!(plan_of(&root, src).unwrap().file, root.path().join(file), "{src}");
    }
}

#[test]
fn nothing_above_the_root_counts() {
    let outer = package(&[("requirements.txt", "six"), ("inner/src/main.py", "")]);
    for src in ["src/main.py", "../main.py", "src/../../main.py"] {
        assert_eq!(Plan::of(&outer.path().join("inner"), Path::new(src)).unwrap(), None, "{src}");
    }
}

#[test]
fn one_file_in_a_folder_goes_before_another() {
    let all =
        [("requirements.txt", "six"), ("pyproject.toml", "[project]\nname = 'a'"), ("Pipfile", "[packages]")];
    for first in 0..all.len() {
        let root = package(&all[first..]);
        assert_eq!(plan_of(&root, "main.py").unwrap().file, root.path().join(all[first].0));
    }
}

#[test]
fn equal_content_is_equal_wherever_it_stands() {
    let root = package(&[
        ("a/requirements.txt", "# ours\nsix==1.0\n-r more.txt\n./lib"),
        ("a/more.txt", "attrs"),
        ("a/lib/setup.py", "1"),
        ("b/requirements.txt", "six==1.0   # pinned\n\n-r more.txt\n./lib\n"),
        ("b/more.txt", "attrs\n"),
        ("b/lib/setup.py", "1"),
        ("b/lib/build/left.py", "by a build"),
        ("b/lib/__pycache__/x.pyc", "by Python"),
        ("b/lib/x.egg-info/PKG-INFO", "by a build"),
    ]);
    assert_eq!(plan_of(&root, "a/x.py").unwrap().content, plan_of(&root, "b/x.py").unwrap().content);
}

#[test]
fn every_change_that_counts_changes_the_content() {
    let files = |change: &str, text: &'static str| {
        let base = [
            (
                "requirements.txt",
                "six\n-r more.txt\n-c pins.txt\n./lib\n-e ./linked\nwheels/a-1-py3-none-any.whl\n-f house",
            ),
            ("more.txt", "attrs"),
            ("pins.txt", "attrs==1"),
            ("lib/setup.py", "1"),
            ("lib/src/code.py", "1"),
            ("linked/pyproject.toml", "1"),
            ("linked/code.py", "1"),
            ("wheels/a-1-py3-none-any.whl", "1"),
            ("house/b-1-py3-none-any.whl", "1"),
        ];
        base.map(|(path, content)| (path, if path == change { text } else { content }))
    };
    let root = package(&files("", ""));
    let content = || plan_of(&root, "main.py").unwrap().content;
    let before = content();
    for (path, counts) in [
        ("more.txt", true),
        ("pins.txt", true),
        ("lib/setup.py", true),
        ("lib/src/code.py", true),
        ("linked/pyproject.toml", true),
        ("linked/code.py", false),
        ("wheels/a-1-py3-none-any.whl", true),
        ("house/b-1-py3-none-any.whl", true),
    ] {
        let path = root.path().join(path);
        let old = fs::read(&path).unwrap();
        fs::write(&path, "2").unwrap();
        assert_eq!(content() != before, counts, "{}", path.display());
        fs::write(&path, old).unwrap();
        assert_eq!(content(), before);
    }
    fs::write(root.path().join("house/c-1-py3-none-any.whl"), "").unwrap();
    assert_ne!(content(), before, "an archive more to choose from");
}

#[test]
fn what_requirements_name_is_seen() {
    for (text, protobuf, hashes) in [
        ("six", false, false),
        ("protobuf", true, false),
        ("Protobuf>=4,<5 ; python_version > '3'", true, false),
        ("# protobuf", false, false),
        ("protobuf-tools", false, false),
        ("-r more.txt", true, false),
        ("six==1 \\\n  --hash=sha256:00", false, true),
        ("--require-hashes", false, true),
    ] {
        let root = package(&[("requirements.txt", text), ("more.txt", "protobuf==4")]);
        let plan = plan_of(&root, "main.py").unwrap();
        assert_eq!((plan.names_protobuf, plan.has_hashes), (protobuf, hashes), "{text}");
    }
}

#[test]
fn a_circle_of_includes_ends() {
    let root = package(&[("requirements.txt", "-r a.txt"), ("a.txt", "six\n-r requirements.txt\n-r a.txt")]);
    assert!(plan_of(&root, "main.py").is_some());
}

#[test]
fn a_missing_include_is_named() {
    let problem = problem_of(&[("requirements.txt", "-r gone.txt")]);
    assert_eq!(problem, "cannot read `gone.txt`, which `requirements.txt` names");
}

#[test]
fn standard_projects_are_translated() {
    let text = r#"
        [project]
        name = "nodes"
        requires-python = ">=3.9,<4"
        dependencies = ["six", "attrs[extra]>=1 ; python_version > '3'", "Lib.One", "two>=2", "three ; os_name == 'nt'"]
        [project.optional-dependencies]
        more = ["never"]
        [dependency-groups]
        dev = ["never"]
        [tool.uv]
        constraint-dependencies = ["attrs<24"]
        [tool.uv.sources]
        lib-one = { path = "lib", editable = true }
        two = { git = "https://host/two", tag = "v2", subdirectory = "py" }
        three = [{ url = "https://host/three.whl", marker = "sys_platform == 'linux'" }, { path = "../three" }]
        [[tool.uv.index]]
        url = "https://user:secret@host/simple"
        default = true
        [[tool.uv.index]]
        name = "torch"
        url = "https://host/torch"
        explicit = true
    "#;
    let (lines, pins) = translated(&[("pyproject.toml", text)]);
    let expected = [
        "--index-url https://user:secret@host/simple",
        "six",
        "attrs[extra]>=1 ; python_version > '3'",
        "-e ./lib",
        "two @ git+https://host/two@v2#subdirectory=py",
        "three @ https://host/three.whl ; (os_name == 'nt') and (sys_platform == 'linux')",
        "../three ; os_name == 'nt'",
    ];
    assert_eq!(lines, expected);
    assert_eq!(pins, ["attrs<24"]);
}

#[test]
fn poetry_projects_are_translated() {
    let text = r#"
        [tool.poetry]
        name = "nodes"
        [tool.poetry.dependencies]
        python = "^3.9"
        six = "^1.2"
        any = "*"
        exact = "1.2.3"
        wild = "1.2.*"
        extra = { version = "~2.1", extras = ["a", "b"], markers = "os_name == 'posix'" }
        old = { version = "*", python = "<3.10", platform = "linux" }
        optional = { version = "1", optional = true }
        repo = { git = "git@host:group/repo.git", rev = "abc" }
        here = { path = "here", develop = true }
        wheel = { file = "wheel-1-py3-none-any.whl" }
        named = { version = "1", source = "ours" }
        twice = [{ version = "1", python = "<3.11" }, { version = "2", python = ">=3.11" }]
        [tool.poetry.group.dev.dependencies]
        never = "*"
        [[tool.poetry.source]]
        name = "ours"
        url = "https://host/simple"
    "#;
    let root = package(&[("pyproject.toml", text)]);
    let plan = plan_of(&root, "main.py").unwrap();
    let python = plan.python.unwrap();
    for (version, fits) in [("3.8.18", false), ("3.9.0", true), ("3.13.0", true), ("4.0.0", false)] {
        assert_eq!(python.contains(&Version::from_str(version).unwrap()), fits, "{version}");
    }
    let Wanted::Lines(mut lines) = plan.wanted else { panic!("not translated") };
    let mut expected = [
        "--index-url https://host/simple",
        "six>=1.2,<2.0",
        "any",
        "exact==1.2.3",
        "wild==1.2.*",
        "extra[a,b]>=2.1,<2.2 ; os_name == 'posix'",
        "old ; (sys_platform == 'linux') and (python_full_version < '3.10')",
        "repo @ git+ssh://git@host/group/repo.git@abc",
        "-e ./here",
        "./wheel-1-py3-none-any.whl",
        "named==1",
        "twice==1 ; python_full_version < '3.11'",
        "twice==2 ; python_full_version >= '3.11'",
    ];
    lines.sort();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn pipfiles_are_translated() {
    let usual = format!("{}.{}", USUAL_HOST.0, USUAL_HOST.1);
    let text = r#"
        [[source]]
        name = "pypi"
        url = "https://USUAL/simple"
        verify_ssl = true
        [[source]]
        name = "other"
        url = "https://host/simple"
        [packages]
        any = "*"
        pinned = "==1.2"
        range = ">=1,<2"
        table = { version = "~=1.0", extras = ["a"], index = "pypi" }
        marked = { version = "*", markers = "os_name == 'posix'", sys_platform = "== 'linux'" }
        repo = { git = "https://host/repo.git", ref = "main", editable = true }
        here = { path = ".", editable = true }
        there = { path = "../there" }
        archive = { file = "https://host/archive.zip" }
        [dev-packages]
        never = "*"
        [requires]
        python_version = "3.11"
    "#;
    let (mut lines, _) = translated(&[("Pipfile", &text.replace("USUAL", &usual))]);
    let mut expected = [
        "any",
        "pinned==1.2",
        "range>=1,<2",
        "table[a]~=1.0",
        "marked ; (os_name == 'posix') and (sys_platform == 'linux')",
        "repo @ git+https://host/repo.git@main",
        "-e .",
        "../there",
        "archive @ https://host/archive.zip",
    ];
    lines.sort();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn another_index_than_the_usual_one_is_named() {
    let text = "[[source]]\nname='x'\nurl='https://u:p@host:8080/simple'\nverify_ssl=false\n[packages]\n";
    let plan = plan_of(&package(&[("Pipfile", text)]), "main.py").unwrap();
    assert_eq!(plan.wanted, Wanted::Lines(vec!["--index-url https://u:p@host:8080/simple".to_owned()]));
    assert_eq!(plan.options, ["--trusted-host", "host:8080"]);
}

#[test]
fn the_python_asked_for_is_checked() {
    for (file, text, good, bad) in [
        ("Pipfile", "[requires]\npython_version = '3.11'", "3.11.7", "3.12.1"),
        ("Pipfile", "[requires]\npython_full_version = '3.11.7'", "3.11.7", "3.11.8"),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.10'", "3.10.0", "3.9.18"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '~3.10'", "3.10.2", "3.11.0"),
    ] {
        let root = package(&[(file, text)]);
        let plan = plan_of(&root, "main.py").unwrap();
        let check = |version| plan.check(Path::new("/usr/bin/python3"), &Version::from_str(version).unwrap());
        check(good).unwrap();
        let problem = check(bad).unwrap_err().to_string();
        assert!(problem.contains(bad) && problem.contains("--python") && problem.contains(file), "{problem}");
    }
}

#[test]
fn locks_pin_what_comes_from_an_index() {
    let pyproject = ("pyproject.toml", "[project]\nname = 'a'\ndependencies = ['six']");
    let uv = r#"
        version = 1
        [[package]]
        name = "six"
        version = "1.16.0"
        source = { registry = "https://host/simple" }
        [[package]]
        name = "a"
        version = "0.1"
        source = { virtual = "." }
        [[package]]
        name = "forked"
        version = "1"
        source = { registry = "https://host/simple" }
        [[package]]
        name = "forked"
        version = "2"
        source = { registry = "https://host/simple" }
    "#;
    let poetry = r#"
        [[package]]
        name = "Typing_Extensions"
        version = "4.0"
        [[package]]
        name = "private"
        version = "1"
        [package.source]
        type = "legacy"
        url = "https://host/simple"
        [[package]]
        name = "repo"
        version = "1"
        [package.source]
        type = "git"
        url = "https://host/repo"
    "#;
    let pipenv = r#"{"default": {
        "six": {"version": "==1.16.0", "hashes": ["sha256:00"], "index": "pypi"},
        "old": {"version": "==1", "markers": "python_version < '3.10'"},
        "repo": {"git": "https://host/repo", "ref": "abc"}},
        "develop": {"never": {"version": "==1"}}}"#;
    let pins = |files: &[(&str, &str)]| translated(files).1;
    assert_eq!(pins(&[pyproject, ("uv.lock", uv), ("poetry.lock", poetry)]), ["six==1.16.0"]);
    assert_eq!(pins(&[pyproject, ("poetry.lock", poetry)]), ["private==1", "typing-extensions==4.0"]);
    let pipfile = ("Pipfile", "[packages]\nsix = '*'");
    let expected = ["old==1 ; python_version < '3.10'", "six==1.16.0"];
    assert_eq!(pins(&[pipfile, ("Pipfile.lock", pipenv)]), expected);
}

#[test]
fn a_lock_is_part_of_the_content() {
    let content = |lock: &str| {
        let text = format!(r#"{{"default": {{"six": {{"version": "{lock}"}}}}}}"#);
        plan_of(&package(&[("Pipfile", "[packages]\nsix = '*'"), ("Pipfile.lock", &text)]), "main.py")
            .unwrap()
            .content
    };
    assert_eq!(content("==1.16.0"), content("==1.16.0"));
    assert_ne!(content("==1.16.0"), content("==1.17.0"));
}

#[test]
fn what_cannot_be_translated_is_said() {
    for (file, text, words) in [
        ("Pipfile", "[packages]\na = '1.2'", "`1.2`"),
        ("Pipfile", "[packages]\na = 1", "`a` is neither a version nor a table"),
        ("Pipfile", "[packages]\na = {version = '*', skip_resolver = true}", "`skip_resolver`"),
        ("Pipfile", "[packages]\na = {version = '*', index = 'other'}", "index `other`"),
        ("Pipfile", "[packages\n", "line 1"),
        ("Pipfile", "[requires]\npython_version = 'new'", "`==new.*`"),
        ("Pipfile.lock", "{", "cannot understand `Pipfile.lock`"),
        ("pyproject.toml", "[project]\ndynamic = ['dependencies']", "`dynamic`"),
        ("pyproject.toml", "[project]\ndependencies = 'six'", "`dependencies` that is no list"),
        ("pyproject.toml", "[project]\nrequires-python = 'three'", "`three`"),
        (
            "pyproject.toml",
            "[project]\ndependencies = ['a']\n[tool.uv.sources]\na = {workspace = true}",
            "`workspace`",
        ),
        (
            "pyproject.toml",
            "[project]\ndependencies = ['a']\n[tool.uv.sources]\na = {index = 'x'}",
            "`index`",
        ),
        (
            "pyproject.toml",
            "[project]\n[[tool.uv.index]]\nname = 'x'\nurl = 'https://u:p@h/'",
            "`x` is an index beside",
        ),
        ("pyproject.toml", "[project]\n[tool.uv]\noverride-dependencies = ['a']", "`override-dependencies`"),
        (
            "pyproject.toml",
            "[project]\ndependencies = ['a']\n[tool.poetry.dependencies]\na = '1'",
            "`a` stands in",
        ),
        ("pyproject.toml", "[tool.poetry.dependencies]\na = '^1 || ^2'", "`^1 || ^2`"),
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\na = {version = '1', allow-prereleases = true}",
            "prereleases",
        ),
        ("pyproject.toml", "[tool.poetry.dependencies]\na = {version = '1', source = 'x'}", "index `x`"),
        ("pyproject.toml", "[project\n", "line 1"),
    ] {
        let files = [(file, text), ("Pipfile", "[packages]")];
        let problem = problem_of(if file == "Pipfile" { &files[..1] } else { &files });
        assert!(problem.contains(words) && problem.contains(file), "{text}: {problem}");
        assert!(!problem.contains("u:p"), "{problem}");
    }
}

#[test]
fn poetry_may_list_the_dependencies_of_a_standard_project() {
    let text = "[project]\nname = 'a'\nrequires-python = '>=3.10'\ndynamic = ['dependencies']\n[tool.poetry.dependencies]\nsix = '^1'";
    let plan = plan_of(&package(&[("pyproject.toml", text)]), "main.py").unwrap();
    assert_eq!(plan.wanted, Wanted::Lines(vec!["six>=1,<2.0".to_owned()]));
    assert_eq!(plan.python.unwrap().to_string(), ">=3.10");
}
