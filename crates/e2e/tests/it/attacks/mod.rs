//! Attacks on a running `krt`, each with the bound that it asserts.
//!
//! docs/security.md lists the results.

mod browsers;
mod connections;
mod identity;
pub(crate) mod isolation;
mod memory;
mod packages;
mod peers;
mod raw;
mod terminals;
mod tls;
mod uploads;
mod workers;

use crate::support::service::Service;

/// How far the engine's peak may exceed `--max-bytes`: its code, its threads and its connections.
const OWN_MEMORY: u64 = 64 << 20;

/// The share of `OWN_MEMORY` for the code of a release build. The code of a debug build is more than twice as large,
/// so the bound uses this figure instead of the pages of the executable under test.
const CODE_MEMORY: u64 = 20 << 20;

/// Asserts that the engine has never held more than `max_bytes` and 64 MiB.
#[track_caller]
pub(crate) fn held_within(service: &Service, max_bytes: u64) {
    peak_is_within("the engine", peak(service.pid()), max_bytes);
}

/// Asserts the bound for a measured peak.
#[track_caller]
pub(crate) fn peak_is_within(who: &str, peak: u64, max_bytes: u64) {
    let (peak, bound) = ((peak + CODE_MEMORY) >> 20, (max_bytes + OWN_MEMORY) >> 20);
    assert!(peak <= bound, "{who} held {peak} MiB at its peak, the bound is {bound} MiB");
}

/// The peak resident memory of a process, without mapped files, bytes.
pub(crate) fn peak(pid: i32) -> u64 {
    peak_of(pid).expect("the process lives")
}

/// Like [`peak`], but `None` if the process has ended.
fn peak_of(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number of kB");
        Some(kilobytes << 10)
    };
    Some(bytes("VmHWM:")?.saturating_sub(bytes("RssFile:")?))
}

mod idle {
    use super::held_within;
    use crate::support::{Krt, actor};

    #[tokio::test]
    async fn an_idle_engine_is_far_below_its_bound() {
        let package = actor::package("");
        let service = Krt::run_at(package.path()).start().await;
        held_within(&service, 0);
        service.stop().await;
    }
}
