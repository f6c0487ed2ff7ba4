//! The comments in `.proto` files.

use prost_reflect::FileDescriptor;
use prost_types::source_code_info::Location;
use std::collections::HashMap;

/// The comments of a file, by descriptor path.
#[derive(Debug, Clone)]
pub struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    /// The comments before or after each element, as paragraphs without margins.
    pub fn of(file: &FileDescriptor) -> Self {
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
        let comment = |location: &Location| {
            let parts = [location.leading_comments.as_deref(), location.trailing_comments.as_deref()];
            let text = parts.into_iter().flatten().map(tidy).collect::<Vec<_>>().join("\n\n");
            (!text.is_empty()).then(|| (location.path.clone(), text))
        };
        Self(locations.iter().filter_map(comment).collect())
    }

    /// The comment of the element at a descriptor path.
    pub fn at(&self, path: &[i32]) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

fn tidy(comment: &str) -> String {
    comment.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n")
}
