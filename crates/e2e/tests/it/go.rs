//! Nodes in Go (docs/reference/krt-v1.md#nodes-in-go): built without changing their sources, and run like
//! others.

mod build;
mod modules;
