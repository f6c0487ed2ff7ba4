//! Templates of nodes in Go.

use super::{Templates, template};
use krt_model::language::Language;

pub(super) const TEMPLATES: Templates = Templates {
    language: Language::GO,
    first: &[
        ("go.mod", template!("first/go/go.mod.in")),
        ("go.sum", template!("first/go/go.sum.in")),
        ("main.go", template!("first/go/main.go.in")),
        ("main_test.go", template!("first/go/main_test.go.in")),
    ],
    // Messages would first need generated types.
    first_is_plain: true,
    messages: &[
        ("go.mod", template!("first/go/go.mod.in")),
        ("go.sum", template!("first/go/go.sum.in")),
        ("main.go", template!("next/go/messages.go.in")),
        ("main_test.go", template!("next/go/messages_test.go.in")),
    ],
    plain: &[
        ("go.mod", template!("first/go/go.mod.in")),
        ("go.sum", template!("first/go/go.sum.in")),
        ("main.go", template!("next/go/plain.go.in")),
        ("main_test.go", template!("next/go/plain_test.go.in")),
    ],
};
