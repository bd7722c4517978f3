//! What this process was given by its starter without asking.

use std::io;

/// Marks all but the standard three to be closed when another program is started.
#[expect(unsafe_code, reason = "no safe binding of close_range(2) exists")]
pub(crate) fn close_on_exec() -> io::Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC the call closes nothing; it only sets a flag on descriptors.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Unblocks all signals: a starter that blocked SIGTERM would make a daemon that cannot be ended.
#[expect(unsafe_code, reason = "no safe binding of pthread_sigmask(3) is at hand")]
pub(crate) fn unblock_signals() -> io::Result<()> {
    // SAFETY: an all-zero set may be given to sigemptyset, which makes it valid; the old mask is
    // not asked for.
    let error = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut())
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
