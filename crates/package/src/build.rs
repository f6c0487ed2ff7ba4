//! Finds the language of a node, and the sources of its executable.
//!
//! A node's `src` names its source file, in a language whose source files run, or else its executable. That is
//! built if the node's `build` names a folder of sources, or if there is such a folder in one of the usual
//! places: `src/NAME` for an executable `bin/NAME`, `src/NODE` for a node, the executable's own folder. What
//! makes a folder one of sources, and which manifest applies to it, is the language's own
//! ([`krt_model::language`]).

use crate::manifest::{Located, NodeEntry};
use crate::path;
use crate::problem::{Problem, Report, Source};
use crate::root::{self, Root};
use krt_model::language::{Compiled, Language, Mark, Module};
use krt_model::version::Build;
use std::path::Path;

/// The language of a node, and the sources that it is built from.
type NodeBuild = (Language, Option<Build>);

/// Finds the language and the sources of a node, if it has any; reports named ones that do not fit.
pub(crate) fn find(node: &NodeEntry, root: &Root, source: &Source, report: &mut Report) -> Option<NodeBuild> {
    let src = node.src.as_ref()?;
    let language = Language::of_source(&src.value);
    let problem = match (&node.build, language) {
        (Some(build), _) => match named(build, language, root, source) {
            Ok((language, found)) => {
                if root::is_absolute(&build.value) {
                    report.push(path::rooted(build, &found.folder, source));
                }
                return Some((language, Some(found)));
            }
            Err(problem) => problem,
        },
        (None, Some(language)) => match language.compiled() {
            Some(compiled) => of_source(src, language, compiled, source),
            None => return Some((language, None)),
        },
        (None, None) => return default_build(src, node.label.as_ref(), root),
    };
    report.push(*problem);
    language.filter(|language| language.compiled().is_none()).map(|language| (language, None))
}

/// The languages that are compiled.
fn compiled() -> impl Iterator<Item = (Language, &'static Compiled)> {
    Language::ALL.into_iter().filter_map(|language| Some((language, language.compiled()?)))
}

/// Words of the languages that are compiled, in one text.
fn joined(words: impl Fn(Language, &'static Compiled) -> &'static str, between: &str) -> String {
    let words: Vec<_> = compiled().map(|(language, compiled)| words(language, compiled)).collect();
    words.join(between)
}

/// The sources that a node names.
fn named(
    build: &Located<String>,
    language: Option<Language>,
    root: &Root,
    source: &Source,
) -> Result<(Language, Build), Box<Problem>> {
    if let Some(language) = language.filter(|language| language.compiled().is_none()) {
        let languages = joined(|language, _| language.name(), " and ");
        let message = format!("`build` is for nodes in {languages}, but `src` is a {} file", language.name());
        let problem = source.error(&build.span, message);
        return Err(Box::new(problem.hint("remove it, or name the executable in `src`")));
    }
    let folder = root.find_folder(&build.value).map_err(|error| path::missing(source, build, &error))?;
    let Some((language, compiled)) = language_in(root, &folder) else {
        let message = format!("`{folder}` has neither {}", joined(|_, compiled| compiled.marked_by, " nor "));
        let hint = joined(|_, compiled| compiled.entry, ", or of its ");
        let hint = format!("name the folder of the node's {hint}");
        return Err(Box::new(source.error(&build.span, message).hint(hint)));
    };
    let module = module(compiled, root, &folder).ok_or_else(|| {
        let manifest = compiled.manifest;
        let message =
            format!("`{folder}` has no `{manifest}`, and no folder above it in the package has one");
        source.error(&build.span, message).hint(format!("`{}` in `{folder}` makes one", compiled.init))
    })?;
    Ok((language, Build { folder, module }))
}

fn of_source(
    src: &Located<String>,
    language: Language,
    compiled: &Compiled,
    source: &Source,
) -> Box<Problem> {
    let file = Path::new(src.value.trim_start_matches('/'));
    let mut folder = file.parent().unwrap_or(Path::new("."));
    if compiled.source_folder.is_some_and(|inner| folder.ends_with(inner)) {
        folder = folder.parent().filter(|parent| parent.components().next().is_some()).unwrap_or(folder);
    }
    let name = folder.file_name().unwrap_or(file.as_os_str()).display();
    let message = format!("`{}` is {} source: `src` names the executable", src.value, language.name());
    let hint = format!("write `src: bin/{name}` and `build: {}`", folder.display());
    Box::new(source.error(&src.span, message).hint(hint))
}

/// The sources in the usual places.
fn default_build(src: &Located<String>, node: Option<&Located<String>>, root: &Root) -> Option<NodeBuild> {
    let path = Path::new(&src.value);
    let of_executable = path.file_name().and_then(|name| name.to_str()).map(|name| format!("src/{name}"));
    let of_node = node.map(|label| format!("src/{}", label.value));
    let own = path.parent().and_then(Path::to_str).filter(|folder| !folder.is_empty()).map(str::to_owned);
    let places = [of_executable, of_node, own].into_iter().flatten();
    places.filter_map(|place| root.find_folder(&place).ok()).find_map(|folder| {
        let (language, compiled) = language_in(root, &folder)?;
        let module = module(compiled, root, &folder)?;
        Some((language, Some(Build { folder, module })))
    })
}

/// The language of the sources in a folder.
fn language_in(root: &Root, folder: &str) -> Option<(Language, &'static Compiled)> {
    let of_mark = |mark| compiled().filter(move |(_, compiled)| compiled.mark == mark);
    of_mark(Mark::Manifest).find(|(_, compiled)| has_manifest(root, folder, compiled)).or_else(|| {
        let entries = root.path().join(folder).read_dir().into_iter().flatten().flatten();
        let names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        of_mark(Mark::Source).find(|(language, _)| names.iter().any(|name| language.is_source(name)))
    })
}

/// The folder of the manifest that applies, from this folder up to the root.
fn module(compiled: &Compiled, root: &Root, folder: &str) -> Option<String> {
    let folders = Path::new(folder).ancestors().filter_map(Path::to_str);
    let mut modules = folders.filter(|folder| has_manifest(root, folder, compiled));
    match compiled.module {
        Module::Nearest => modules.next(),
        Module::Outermost => modules.last(),
    }
    .map(str::to_owned)
}

fn has_manifest(root: &Root, folder: &str, compiled: &Compiled) -> bool {
    root.path().join(folder).join(compiled.manifest).is_file()
}
