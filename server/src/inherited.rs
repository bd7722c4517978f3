//! Descriptors that this process was given without asking.

use std::io;

/// Marks all but the standard three to be closed when another program is started.
#[expect(unsafe_code, reason = "no safe binding of close_range(2) exists")]
pub(crate) fn close_on_exec() -> io::Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC the call closes nothing; it only sets a flag on descriptors.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
