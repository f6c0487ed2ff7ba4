//! Limits of control groups of version 2, enforced by a real kernel.
//!
//! The machine that runs the tests may use version 1, and its groups belong to others. So this program boots a
//! virtual machine, in which it is the first process, an engine, a guard and a worker. It needs `qemu-system-x86_64`
//! on `PATH` and a kernel that it may read: `KRT_TEST_KERNEL`, or else the newest one in `/boot`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the console is the way out of the virtual machine")]

mod inside;
mod outside;

use std::process::ExitCode;

/// What the virtual machine prints at its end if every limit holds.
const PASSED: &str = "every limit holds";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        _ if std::process::id() == 1 => inside::first_process(),
        ["engine"] => inside::engine(),
        ["worker"] => krt_guard::run().unwrap(),
        ["work", act, number] => inside::work(act, number.parse().unwrap()),
        _ => return outside::test(),
    }
    ExitCode::SUCCESS
}
