use super::*;
use crate::node::scripted::launch;

#[test]
fn descriptions_of_process_ends() {
    for (status, expected) in [
        (0, "it exited with status 0"),
        (1 << 8, "it exited with status 1"),
        (70 << 8, "it exited with status 70"),
        (9, "killed by signal 9 (SIGKILL)"),
        (11, "killed by signal 11 (SIGSEGV, a crash in native code)"),
        // With a core dump.
        (11 | 0x80, "killed by signal 11 (SIGSEGV, a crash in native code)"),
        (6, "killed by signal 6 (SIGABRT)"),
        (15, "killed by signal 15 (SIGTERM)"),
        (7, "killed by signal 7 (SIGBUS, a crash in native code)"),
        (4, "killed by signal 4 (SIGILL, a crash in native code)"),
        (8, "killed by signal 8 (SIGFPE, a crash in native code)"),
        (10, "killed by signal 10"),
        (64, "killed by signal 64"),
    ] {
        assert_eq!(describe(ExitStatus::from_raw(status)), expected, "{status}");
    }
}

#[test]
fn out_of_memory_deaths_have_their_own_result() {
    assert_eq!(ProcessEnd::of("x").result(), HandlerResult::Died("x".to_owned()));
    let end = ProcessEnd { out_of_memory: Some(Memory(1 << 20)), ..ProcessEnd::of("x") };
    assert_eq!(end.result(), HandlerResult::OutOfMemory(Memory(1 << 20)));
}

#[test]
fn settings_of_a_user_override_those_of_the_allocator() {
    let own = str::to_owned;
    let mut launch = launch();
    let further = || vec![(own("KRT_NODE_PROTOCOL"), own("1"))];
    let plain = [
        (own("MALLOC_MMAP_THRESHOLD_"), own("8388608")),
        (own("MALLOC_TRIM_THRESHOLD_"), own("33554432")),
        (own("KRT_NODE_PROTOCOL"), own("1")),
    ];
    assert_eq!(environment(&launch, further()), plain);
    launch.environment = vec![(own("MALLOC_TRIM_THRESHOLD_"), own("0")), (own("A"), own("b"))];
    let mixed = [
        (own("MALLOC_MMAP_THRESHOLD_"), own("8388608")),
        (own("MALLOC_TRIM_THRESHOLD_"), own("0")),
        (own("A"), own("b")),
        (own("KRT_NODE_PROTOCOL"), own("1")),
    ];
    assert_eq!(environment(&launch, further()), mixed);
}
