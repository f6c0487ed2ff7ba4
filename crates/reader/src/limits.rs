//! Limits of the process that reads a package.

use krt_package::reading::Step;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Writable memory, without the program itself, in bytes.
pub(crate) const MEMORY: u64 = 512 << 20;
/// The stack of the reading thread, in bytes.
pub(crate) const STACK: usize = 32 << 20;
/// The stack of a second read of a package's compiled files, in bytes: less than that of any thread of the
/// program that reads them later.
pub(crate) const LATER_STACK: usize = 1 << 20;
/// The largest answer, in bytes.
pub(crate) const MAX_ANSWER: u32 = 48 << 20;

const FILES: u64 = 256;

/// The processor time of a step, in seconds. The size of an archive bounds its step.
pub(crate) fn time(step: &Step) -> Option<u64> {
    match step {
        Step::Unpack => None,
        Step::Read => Some(60),
        Step::Compile { .. } => Some(10),
    }
}

/// Sets the limits that hold from the start.
pub(crate) fn set() {
    lower(Resource::Data, MEMORY);
    lower(Resource::Nofile, FILES);
    lower(Resource::Core, 0);
}

/// Limits the processor time from now on.
pub(crate) fn set_time(seconds: u64) {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    let limit = u64::try_from(used).unwrap_or(0) + 1 + seconds;
    let maximum = getrlimit(Resource::Cpu).maximum;
    // Fails where a lower limit holds already.
    let _ = setrlimit(Resource::Cpu, Rlimit { current: Some(limit), maximum });
}

fn lower(resource: Resource, limit: u64) {
    let known = getrlimit(resource);
    let least = |limit: u64, known: Option<u64>| Some(known.map_or(limit, |known| known.min(limit)));
    let (current, maximum) = (least(limit, known.current), least(limit, known.maximum));
    // Never fails, as the limit is lower than before.
    let _ = setrlimit(resource, Rlimit { current, maximum });
}
