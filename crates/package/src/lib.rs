//! Reads, checks, packs and unpacks KRT v1 packages.
