//! pytest's configuration (<https://docs.pytest.org/en/stable/reference/customize.html>), as far as it
//! determines the location of tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// pytest's configuration files, in its order of precedence, each with the section that makes it one.
const FILES: [(&str, &str); 7] = [
    ("pytest.toml", "pytest"),
    (".pytest.toml", "pytest"),
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("pyproject.toml", "tool.pytest"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
];
/// Files that count as configuration even without a section.
const ALWAYS_CONFIGURATION: [&str; 4] = ["pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"];

/// The configuration for a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Configuration {
    /// The configuration file's folder.
    pub(super) folder: PathBuf,
    /// The configured `testpaths`, relative to the folder.
    pub(super) testpaths: Vec<String>,
    /// Whether it sets the names of test files.
    pub(super) names_files: bool,
}

impl Configuration {
    /// Finds the nearest configuration, from a folder up to the package's root.
    pub(super) fn find(folder: &Path, root: &Path) -> Option<Self> {
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(root));
        folders.into_iter().find_map(|folder| {
            let read = |(file, section): &(&str, &str)| Self::read(folder, file, section);
            FILES.iter().find_map(read)
        })
    }

    fn read(folder: &Path, file: &str, section: &str) -> Option<Self> {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        let settings = match file.ends_with(".toml") {
            true => of_toml(&text, section),
            false => of_ini(&text, section),
        };
        let settings = settings.or_else(|| ALWAYS_CONFIGURATION.contains(&file).then(Settings::default))?;
        let Settings { testpaths, names_files } = settings;
        Some(Self { folder: folder.to_owned(), testpaths, names_files })
    }

    /// The existing files and folders in `testpaths`, absolute.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        self.testpaths.iter().flat_map(|path| expand(&self.folder, path)).collect()
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Settings {
    testpaths: Vec<String>,
    names_files: bool,
}

/// Parses the settings in a TOML file: in the section, or, in a `pyproject.toml`, below `ini_options`.
fn of_toml(text: &str, section: &str) -> Option<Settings> {
    let document: toml::Table = text.parse().ok()?;
    let mut table = &document;
    for name in section.split('.') {
        table = table.get(name)?.as_table()?;
    }
    let table = table.get("ini_options").and_then(toml::Value::as_table).unwrap_or(table);
    let words = |key: &str| match table.get(key) {
        Some(toml::Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(toml::Value::Array(items)) => {
            items.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    Some(Settings { testpaths: words("testpaths"), names_files: table.contains_key("python_files") })
}

/// Parses the settings in a section of an INI file; an indented line continues the previous one.
fn of_ini(text: &str, section: &str) -> Option<Settings> {
    let mut found: Option<Settings> = None;
    let (mut inside, mut key) = (false, String::new());
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name == section;
            if inside {
                found.get_or_insert_default();
            }
            continue;
        }
        let Some(settings) = found.as_mut().filter(|_| inside) else { continue };
        let value = match line.split_once(['=', ':']) {
            Some((name, value)) if !line.starts_with(char::is_whitespace) => {
                name.trim().clone_into(&mut key);
                settings.names_files |= key == "python_files";
                value
            }
            _ => line,
        };
        if key == "testpaths" {
            settings.testpaths.extend(value.split_whitespace().map(str::to_owned));
        }
    }
    found
}

/// Expands a path with wildcards; a component may be or contain `*`.
fn expand(folder: &Path, path: &str) -> Vec<PathBuf> {
    let mut places = vec![folder.to_owned()];
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        places = places.into_iter().flat_map(|place| matching(&place, part)).collect();
    }
    places.retain(|place| place.exists());
    places
}

fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?']) {
        return vec![folder.join(pattern)];
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| is_like(entry.file_name().to_string_lossy().as_bytes(), pattern.as_bytes()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Whether a name matches a pattern with `*` and `?`.
fn is_like(name: &[u8], pattern: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|start| is_like(&name[start..], rest)),
        [b'?', rest @ ..] => !name.is_empty() && is_like(&name[1..], rest),
        [byte, rest @ ..] => name.first() == Some(byte) && is_like(&name[1..], rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let said = |testpaths: &[&str], names_files| {
            let testpaths = testpaths.iter().map(|path| (*path).to_owned()).collect();
            Some(Settings { testpaths, names_files })
        };
        for (file, text, expected) in [
            ("pytest.ini", "", said(&[], false)),
            ("pytest.ini", "[pytest]\ntestpaths = tests more\n", said(&["tests", "more"], false)),
            (
                "pytest.ini",
                "[other]\ntestpaths = no\n[pytest]\n# a comment\ntestpaths =\n    tests\n    more/*\npython_files = check_*.py\n",
                said(&["tests", "more/*"], true),
            ),
            ("tox.ini", "[tox]\nenvlist = py\n", None),
            ("tox.ini", "[pytest]\npython_files: *_check.py\n", said(&[], true)),
            ("setup.cfg", "[tool:pytest]\ntestpaths = tests\n", said(&["tests"], false)),
            ("setup.cfg", "[pytest]\ntestpaths = tests\n", None),
            ("pyproject.toml", "[project]\nname = 'a'\n", None),
            ("pyproject.toml", "[tool.pytest.ini_options]\ntestpaths = ['tests']\n", said(&["tests"], false)),
            (
                "pyproject.toml",
                "[tool.pytest.ini_options]\ntestpaths = 'a b'\npython_files = 'x'\n",
                said(&["a", "b"], true),
            ),
            ("pyproject.toml", "[tool.pytest]\ntestpaths = ['tests']\n", said(&["tests"], false)),
            ("pyproject.toml", "not toml", None),
            ("pytest.toml", "[pytest]\ntestpaths = ['tests']\n", said(&["tests"], false)),
        ] {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join("src/etl");
            fs::create_dir_all(&folder).unwrap();
            fs::write(root.path().join(file), text).unwrap();
            let found = Configuration::find(&folder, root.path());
            let expected = expected.map(|Settings { testpaths, names_files }| Configuration {
                folder: root.path().to_owned(),
                testpaths,
                names_files,
            });
            assert_eq!(found, expected, "{file}: {text}");
        }
    }

    #[test]
    fn paths_with_wildcards() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["tests", "src/a/tests", "src/b/tests", "src/c"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let testpaths = ["./tests", "src/*/tests", "src/?", "none"].map(str::to_owned).to_vec();
        let configuration = Configuration { folder: root.path().to_owned(), testpaths, names_files: false };
        let expected = ["tests", "src/a/tests", "src/b/tests", "src/a", "src/b", "src/c"];
        assert_eq!(configuration.places(), expected.map(|place| root.path().join(place)));
    }
}
