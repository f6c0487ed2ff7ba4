//! The modules that the SDK replaces in a build.

use super::directive;
use crate::sdk::GO;

/// The SDK's own module.
pub(super) const SDK: &str = "github.com/konstellation-io/krt/sdk/go";

/// The modules that nodes of KRT v1 require, each with the SDK's file that replaces it.
pub(super) const KNOWN: [(&str, &str); 6] = [
    ("github.com/konstellation-io/kre/runtime-runners/kre-go", RUNNER),
    ("github.com/konstellation-io/kre/runners/kre-go", RUNNER),
    ("github.com/konstellation-io/kre/runners/kre-go/v2", RUNNER),
    ("github.com/konstellation-io/kre-runners/kre-go", RUNNER),
    ("github.com/konstellation-io/kre-runners/kre-go/v2", RUNNER),
    ("github.com/konstellation-io/kre/libs/simplelogger", "compat/simplelogger/simplelogger.go"),
];
pub(super) const RUNNER: &str = "compat/kre/kre.go";

/// A package that nodes import beside the runner's.
pub(super) const CONFIG: &str = "compat/config/config.go";

/// The requirements of the replacing modules, and their checksums.
pub(super) const REQUIRES: &str = "compat/requires.txt";
pub(super) const SUMS: &str = "compat/sums.txt";

/// Whether the SDK replaces a module.
pub(super) fn is_known(module: &str) -> bool {
    module == SDK || KNOWN.iter().any(|(path, _)| *path == module)
}

/// Whether the SDK replaces a module, or needs it at a version of its own.
pub(super) fn is_ours(module: &str) -> bool {
    let needs = |name: &str| {
        let directives = directive::directives(&String::from_utf8_lossy(&GO.file(name)));
        directive::of(&directives, "require")
            .any(|required| required.words.first().is_some_and(|it| it == module))
    };
    is_known(module) || needs(REQUIRES) || needs("go.mod")
}
