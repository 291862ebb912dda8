//! The C library's heap where memory is to stay bounded.
//!
//! glibc gives each thread a heap of its own and keeps what was freed for a while, so that a process
//! with three threads held half as much again as it used (measured: 77 MiB for 26, growing; 45 MiB
//! with these settings). Other C libraries have no such settings and need none.

/// Has threads share one heap that gives back what is free. To be called before the first thread is
/// started; where it cannot be had, memory is used as it is.
#[cfg(target_env = "gnu")]
pub(super) fn share() {
    /// Blocks from this size on are the system's, and go back to it at once.
    const LARGE: libc::c_int = 256 << 10;
    /// More than this is not kept at the end of the heap.
    const KEPT: libc::c_int = 4 << 20;

    let settings = [
        (libc::M_ARENA_MAX, 1),
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TRIM_THRESHOLD, KEPT),
    ];
    for (setting, value) in settings {
        // SAFETY: takes two integers and changes how later calls of malloc behave, nothing else.
        #[allow(unsafe_code, reason = "no crate offers a safe call")]
        unsafe {
            libc::mallopt(setting, value);
        }
    }
}

/// Nothing to be set.
#[cfg(not(target_env = "gnu"))]
pub(super) fn share() {}
