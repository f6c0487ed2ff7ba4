//! Nodes in Go (KRT v1, "Node: Go"): built from sources that stay as they are, and run as others are.

mod build;
