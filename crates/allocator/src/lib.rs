//! How the allocator gives memory back to the system.
//!
//! glibc maps a large block on its own and unmaps it when it is freed, but raises its idea of large with each one, up
//! to 32 MiB. From then on what large messages took stays with the process, in an arena of each thread. With a fixed
//! threshold it does not. Small blocks, which are all that most requests need, are allocated as before.

/// Blocks of that many bytes are given back as soon as they are free.
pub const LARGE_BLOCK: usize = 256 << 10;

/// Fixes the threshold. It is to be called before large blocks are allocated; other allocators are left as they are.
pub fn give_large_blocks_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "libc has no safe form of this call, which only sets a number")]
    // SAFETY: `mallopt` takes two numbers and may be called at any time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK as libc::c_int);
    }
}
