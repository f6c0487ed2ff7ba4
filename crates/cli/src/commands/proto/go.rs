//! Generates Go code with Go's own protoc plugin, called directly, without protoc.

use super::{Files, own};
use crate::{
    error::{Context as _, Hint as _, Result, bail, ensure, error},
    terminal,
};
use krt_model::language::Language;
use krt_package::Package;
use prost::Message as _;
use prost_types::compiler::{CodeGeneratorRequest, CodeGeneratorResponse};
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf, absolute},
    process::{Command, Stdio},
};

/// The plugin, which ships with the library that its code needs.
const PLUGIN: &str = "google.golang.org/protobuf/cmd/protoc-gen-go";
/// The number of the request's field for files.
const PROTO_FILE: u32 = 15;
const LIBRARY: &str = "google.golang.org/protobuf";

/// Generates code for the module of each Go node, or for one folder.
pub(super) fn files(package: &Package, out: Option<&Path>) -> Result<Files> {
    let nodes = package.version.nodes.iter().filter(|node| node.language == Some(Language::GO));
    let modules = nodes.filter_map(|node| Some(&node.build.as_ref()?.module));
    let folders: BTreeSet<PathBuf> = match out {
        Some(out) => BTreeSet::from([absolute(out)?]),
        None => modules.map(|module| package.root.join(module).join("pb")).collect(),
    };
    ensure!(
        !folders.is_empty(),
        "the package has no node in Go that is built from sources";
        hint: "--out names a folder below a go.mod"
    );
    let mut files = Files::new();
    for folder in &folders {
        files.extend(generate(package, &Target::of(folder)?)?);
    }
    Ok(files)
}

/// A target folder for code.
struct Target<'a> {
    folder: &'a Path,
    /// The folder's import path.
    import: String,
    /// The protobuf version that its module requires.
    version: String,
}

impl<'a> Target<'a> {
    fn of(folder: &'a Path) -> Result<Self> {
        let module = folder
            .ancestors()
            .find(|above| above.join("go.mod").is_file())
            .with_context(|| format!("no folder above `{}` has a go.mod", folder.display()))
            .hint("`go mod init` makes one")?;
        let path = module.join("go.mod");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let name = words_after(&text, "module").next();
        let name = name.with_context(|| format!("`{}` names no module", path.display()))?;
        let version = words_after(&text, LIBRARY)
            .next()
            .with_context(|| format!("`{}` does not require {LIBRARY}, which the code needs", path.display()))
            .with_hint(|| format!("`go get {LIBRARY}` in `{}`", module.display()))?;
        let below = folder.strip_prefix(module).unwrap_or(Path::new(""));
        let import = Path::new(name).join(below).display().to_string();
        Ok(Self { folder, import: import.trim_end_matches('/').to_owned(), version: version.to_owned() })
    }
}

/// The words after `word` at the start of a line, or of a line in a `require` list.
fn words_after<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let mut words = line.split_whitespace().skip_while(|&word| word == "require");
        words.next().filter(|first| *first == word)?;
        words.next()
    })
}

fn generate(package: &Package, place: &Target<'_>) -> Result<Files> {
    let request = request(package, place);
    let response = CodeGeneratorResponse::decode(&*plugin(place, &request)?)
        .with_context(|| format!("{PLUGIN} answered with something else than code"))?;
    if let Some(error) = response.error {
        bail!("{PLUGIN}: {error}");
    }
    let file = |made: prost_types::compiler::code_generator_response::File| {
        (place.folder.join(made.name()), made.content().as_bytes().to_vec())
    };
    Ok(response.file.into_iter().map(file).collect())
}

/// The plugin's request: the package's own files, each with the import path of its target.
fn request(package: &Package, place: &Target<'_>) -> Vec<u8> {
    let names: Vec<String> = own(package).map(|file| file.name().to_owned()).collect();
    let mapping = names.iter().map(|name| {
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        let import = Path::new(&place.import).join(folder).display().to_string();
        let import = import.trim_end_matches('/');
        // The folder names the Go package, whatever the file's `go_package` says.
        format!("M{name}={import};{}", package_name(import))
    });
    let parameter: Vec<String> = ["paths=source_relative".to_owned()].into_iter().chain(mapping).collect();
    let request = CodeGeneratorRequest {
        parameter: Some(parameter.join(",")),
        proto_file: Vec::new(),
        compiler_version: None,
        file_to_generate: names,
    };
    // Append the files as compiled: a decode and encode would drop custom options.
    let mut encoded = request.encode_to_vec();
    for file in package.schema.pool.files() {
        prost::encoding::bytes::encode(PROTO_FILE, &file.encode_to_vec(), &mut encoded);
    }
    encoded
}

/// The name of the Go package in a folder.
fn package_name(import: &str) -> String {
    let last = import.rsplit('/').next().unwrap_or_default();
    last.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect()
}

/// Runs the plugin in the library's version.
fn plugin(place: &Target<'_>, request: &[u8]) -> Result<Vec<u8>> {
    let started = Command::new("go")
        .args(["run", &format!("{PLUGIN}@{}", place.version)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut plugin = started.map_err(
        |error| error!("cannot start `go`: {error}"; hint: "install Go 1.20 or newer (https://go.dev/dl)"),
    )?;
    // Fails if the plugin exits early; its exit status has the error.
    let _ = plugin.stdin.take().map(|mut stdin| stdin.write_all(request));
    let ended = plugin.wait_with_output()?;
    String::from_utf8_lossy(&ended.stderr).lines().for_each(terminal::print_line);
    ensure!(ended.status.success(), "`go run {PLUGIN}@{}` ended with {}", place.version, ended.status);
    Ok(ended.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_paths_are_read_from_go_mod() {
        let home = tempfile::tempdir().unwrap();
        let put = |text: &str| fs::write(home.path().join("go.mod"), text).unwrap();
        let folder = home.path().join("deep/pb");
        put("module example.com/etl // ours\n\ngo 1.20\n\nrequire google.golang.org/protobuf v1.2.3\n");
        let place = Target::of(&folder).unwrap();
        assert_eq!((&*place.import, &*place.version), ("example.com/etl/deep/pb", "v1.2.3"));
        put("module etl\n\nrequire (\n\tgoogle.golang.org/protobuf v1.2.4 // indirect\n)\n");
        let place = Target::of(home.path()).unwrap();
        assert_eq!((&*place.import, &*place.version), ("etl", "v1.2.4"));
        put("module etl\n");
        assert!(Target::of(&folder).err().unwrap().line().contains("; hint: `go get "));
    }
}
