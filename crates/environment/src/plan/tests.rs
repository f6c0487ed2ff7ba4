//! Which file decides, and its translation.

use super::entry::DEFAULT_HOST;
use super::*;
use krt_model::hint;
use pep440_rs::Version;
use std::{fs, str::FromStr};
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
    Plan::of(root.path(), Path::new(src), Files::Live).unwrap()
}

fn problem_of(files: &[(&str, &str)]) -> String {
    let root = package(files);
    let problem = Plan::of(root.path(), Path::new("main.py"), Files::Live).unwrap_err().to_string();
    problem.replace(&format!("{}/", root.path().display()), "")
}

/// The translated lines and pins of files.
fn translated(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let plan = plan_of(&package(files), "main.py").unwrap();
    match plan.wanted {
        PackageSource::Lines(lines) => (lines, plan.pins),
        PackageSource::File => panic!("not translated"),
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
fn files_above_the_root_are_ignored() {
    let outer = package(&[("requirements.txt", "six"), ("inner/src/main.py", "")]);
    for src in ["src/main.py", "../main.py", "src/../../main.py"] {
        assert_eq!(
            Plan::of(&outer.path().join("inner"), Path::new(src), Files::Live).unwrap(),
            None,
            "{src}"
        );
    }
}

#[test]
fn files_in_a_folder_have_an_order_of_precedence() {
    let all =
        [("requirements.txt", "six"), ("pyproject.toml", "[project]\nname = 'a'"), ("Pipfile", "[packages]")];
    for first in 0..all.len() {
        let root = package(&all[first..]);
        assert_eq!(plan_of(&root, "main.py").unwrap().file, root.path().join(all[first].0));
    }
}

#[test]
fn equal_content_is_equal_in_any_folder() {
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
fn relevant_changes_change_the_content() {
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
fn packages_named_in_requirements_are_recognised() {
    for (text, protobuf, hashes) in [
        ("six", false, false),
        ("protobuf", true, false),
        ("Protobuf>=4,<5 ; python_version > '3'", true, false),
        ("# protobuf", false, false),
        ("protobuf-tools", false, false),
        ("-r more.txt", true, false),
        ("-c more.txt", false, false),
        ("six==1 \\\n  --hash=sha256:00", false, true),
        ("--require-hashes", false, true),
    ] {
        let root = package(&[("requirements.txt", text), ("more.txt", "protobuf==4")]);
        let plan = plan_of(&root, "main.py").unwrap();
        assert_eq!((plan.names_protobuf(), plan.has_hashes), (protobuf, hashes), "{text}");
    }
}

#[test]
fn circular_includes_end() {
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
    let PackageSource::Lines(mut lines) = plan.wanted else { panic!("not translated") };
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
    let usual = format!("{}.{}", DEFAULT_HOST.0, DEFAULT_HOST.1);
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
fn other_indexes_are_named() {
    let text = "[[source]]\nname='x'\nurl='https://u:p@host:8080/simple'\nverify_ssl=false\n[packages]\n";
    let plan = plan_of(&package(&[("Pipfile", text)]), "main.py").unwrap();
    assert_eq!(
        plan.wanted,
        PackageSource::Lines(vec!["--index-url https://u:p@host:8080/simple".to_owned()])
    );
    assert_eq!(plan.options, ["--trusted-host", "host:8080"]);
}

#[test]
fn required_python_versions() {
    let setup = ("setup.py", "setup(\n    name='a',\n    python_requires='>=3.7,<3.9',\n)");
    for (file, text, good, bad, is_firm) in [
        ("Pipfile", "[requires]\npython_version = '3.11'", "3.11.7", "3.12.1", true),
        ("Pipfile", "[requires]\npython_full_version = '3.11.7'", "3.11.7", "3.11.8", true),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.10'", "3.10.0", "3.9.18", true),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '~3.10'", "3.10.2", "3.11.0", true),
        ("setup.cfg", "[options]\npython_requires = >=3.7, <3.9\n", "3.8.18", "3.9.18", true),
        (setup.0, setup.1, "3.8.18", "3.9.18", true),
        (".python-version", "# ours\n3.8.18\n3.9.1", "3.8.2", "3.9.1", false),
    ] {
        for others in [&[][..], &[("src/a/requirements.txt", "six")]] {
            let root = package(&[&[(file, text), ("src/a/main.py", "")], others].concat());
            let requires = Requires::near(root.path(), Path::new("src/a/main.py")).unwrap();
            let allows = |version| requires.allows(&Version::from_str(version).unwrap());
            assert_eq!(
                (allows(good), allows(bad), requires.is_firm),
                (true, false, is_firm),
                "{file} {text}"
            );
            assert!(requires.file.ends_with(file));
        }
    }
    for (file, text) in
        [("pyproject.toml", "[tool.ruff]"), ("setup.py", "setup()"), (".python-version", "pypy")]
    {
        assert_eq!(Requires::near(package(&[(file, text)]).path(), Path::new("main.py")), None, "{file}");
    }
}

#[test]
fn pins_and_sources_are_recognised() {
    let root = package(&[
        (
            "requirements.txt",
            "numpy==1.19.5 --hash=sha256:0\nsix>=1\npandas==1.*\na == 2 ; python_version < '3.9'\n-c pins.txt\n-i https://host/simple\n./lib",
        ),
        ("pins.txt", "scipy===1.5.4"),
        ("b/Pipfile", "[packages]\nsix = '*'"),
        ("b/Pipfile.lock", r#"{"default": {"six": {"version": "==1.16.0"}}}"#),
    ]);
    let plan = plan_of(&root, "main.py").unwrap();
    assert_eq!(plan.exact, ["numpy==1.19.5", "a == 2 ; python_version < '3.9'", "scipy===1.5.4"]);
    assert_eq!(plan.sources, ["-i https://host/simple"]);
    assert_eq!(plan.names.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "numpy", "pandas", "six"]);
    assert_eq!(plan_of(&root, "b/main.py").unwrap().exact, ["six==1.16.0"]);
}

#[test]
fn changes_count_in_any_encoding() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    for (bytes, other) in [
        (utf16("\u{feff}six==1.0"), utf16("\u{feff}six==1.1")),
        (b"\xef\xbb\xbfsix==1.0".to_vec(), b"\xef\xbb\xbfsix==1.1".to_vec()),
        (b"# coding: latin-1\nsix==1.0 # \xe4".to_vec(), b"# coding: latin-1\nsix==1.1 # \xe4".to_vec()),
    ] {
        let root = package(&[
            ("requirements.txt", "-r more.txt"),
            ("plain/requirements.txt", "-r more.txt"),
            ("plain/more.txt", "six==1.0"),
        ]);
        let mut contents = Vec::new();
        for bytes in [bytes, other] {
            fs::write(root.path().join("more.txt"), bytes).unwrap();
            let plan = plan_of(&root, "main.py").unwrap();
            assert!(plan.transcript.is_some());
            contents.push(plan.content);
        }
        assert_ne!(contents[0], contents[1]);
        assert_eq!(
            contents[0],
            plan_of(&root, "plain/main.py").unwrap().content,
            "the encoding itself does not"
        );
    }
}

#[test]
fn unknown_encodings_are_refused() {
    let root = package(&[("requirements.txt", "-r more.txt")]);
    for (file, bytes) in [("more.txt", &b"six\n# \xe4"[..]), ("more.txt", b"\xff\xfes")] {
        fs::write(root.path().join(file), bytes).unwrap();
        let error = hint::line(&Plan::of(root.path(), Path::new("main.py"), Files::Live).unwrap_err());
        assert!(
            error.contains("more.txt") && error.contains("(line ") && error.contains("; hint: "),
            "{error}"
        );
    }
    for (file, bytes) in
        [("Pipfile", &b"[packages]\n# \xe4"[..]), ("pyproject.toml", b"# \n\xe4\n[project]\n")]
    {
        let root = package(&[]);
        fs::write(root.path().join(file), bytes).unwrap();
        let error = hint::line(&Plan::of(root.path(), Path::new("main.py"), Files::Live).unwrap_err());
        assert!(error.contains(file) && error.contains("(line 2)") && error.contains("; hint: "), "{error}");
    }
}

#[test]
fn unpacked_files_count_by_content_alone() {
    let files =
        [("requirements.txt", "-e ./lib\n./archive.whl"), ("lib/setup.py", ""), ("lib/lib/x.py", "1")];
    let content =
        |root: &TempDir, files| Plan::of(root.path(), Path::new("main.py"), files).unwrap().unwrap().content;
    let (one, two) = (package(&files), package(&files));
    for (root, seconds) in [(&one, 1), (&two, 2)] {
        let archive = root.path().join("archive.whl");
        fs::write(&archive, vec![7; 300 * 1024]).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::options().append(true).open(archive).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(content(&one, Files::Fixed), content(&two, Files::Fixed));
    assert_ne!(content(&one, Files::Live), content(&two, Files::Live));
    fs::write(two.path().join("lib/lib/x.py"), "2").unwrap();
    assert_ne!(content(&one, Files::Fixed), content(&two, Files::Fixed), "its code counts");
}

#[test]
fn locks_pin_packages_from_an_index() {
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
fn untranslatable_files_are_reported() {
    for (file, text, words) in [
        ("Pipfile", "[packages]\na = '1.2'", "`1.2`"),
        ("Pipfile", "[packages]\na = 1", "`a` is neither a version nor a table"),
        ("Pipfile", "[packages]\na = {version = '*', skip_resolver = true}", "`skip_resolver`"),
        ("Pipfile", "[packages]\na = {version = '*', index = 'other'}", "index `other`"),
        ("Pipfile", "[packages\n", "line 1"),
        ("Pipfile", "[requires]\npython_version = 'new'", "`==new.*`"),
        ("Pipfile.lock", "{", "cannot understand `Pipfile.lock`"),
        ("pyproject.toml", "[project]\ndynamic = ['dependencies']", "`dynamic`"),
        ("pyproject.toml", "[project]\ndependencies = 'six'", "`dependencies` that is not a list"),
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
    assert_eq!(plan.wanted, PackageSource::Lines(vec!["six>=1,<2.0".to_owned()]));
    assert_eq!(plan.python.unwrap().to_string(), ">=3.10");
}
