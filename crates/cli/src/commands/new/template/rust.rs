//! Templates of nodes in Rust.

use super::{File, Templates, template};
use krt_model::language::Language;

pub(super) const TEMPLATES: Templates = Templates {
    language: Language::RUST,
    first: &[
        ("Cargo.toml", template!("first/rust/Cargo.toml.in")),
        ("src/main.rs", template!("first/rust/main.rs.in")),
    ],
    first_is_plain: false,
    messages: &NEXT,
    plain: &NEXT,
};

/// Values choose the type of the data.
const NEXT: [File; 2] = [
    ("Cargo.toml", template!("next/rust/Cargo.toml.in")),
    ("src/main.rs", template!("next/rust/main.rs.in")),
];
