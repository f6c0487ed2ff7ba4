//! Templates of nodes in Python.

use super::{Templates, template};
use krt_model::language::Language;

pub(super) const TEMPLATES: Templates = Templates {
    language: Language::PYTHON,
    first: &[
        ("main.py", template!("first/python/main.py")),
        ("test_main.py", template!("first/python/test_main.py")),
    ],
    first_is_plain: false,
    messages: &[
        ("main.py", template!("next/python/main.py")),
        ("test_main.py", template!("next/python/test_messages.py")),
    ],
    plain: &[
        ("main.py", template!("next/python/main.py")),
        ("test_main.py", template!("next/python/test_plain.py")),
    ],
};
