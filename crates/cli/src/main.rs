//! The `krt` command.
fn main() {}
