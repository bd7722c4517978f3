//! What this process was given by its starter without asking.

use std::io;

/// Marks all but the standard three to be closed when another program is started.
#[expect(unsafe_code, reason = "no safe binding of close_range(2) exists")]
pub(crate) fn close_on_exec() -> io::Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC the call closes nothing; it only sets a flag on descriptors.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // Linux before 5.9 does not know the call, before 5.11 not the flag; a container may forbid it.
        Some(libc::ENOSYS | libc::EINVAL | libc::EPERM) => each_close_on_exec(),
        _ => Err(error),
    }
}

/// The same, one by one.
#[expect(unsafe_code, reason = "descriptors that nobody here owns have numbers only")]
fn each_close_on_exec() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if number < 3 {
            continue;
        }
        // SAFETY: F_SETFD takes any number and touches no memory; it only sets a flag.
        let done = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        let error = io::Error::last_os_error();
        // One that was closed meanwhile, as the one that lists them will be, needs no mark.
        if done == -1 && error.raw_os_error() != Some(libc::EBADF) {
            return Err(error);
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

    use super::*;

    #[test]
    fn nothing_is_left_open_for_another_program() {
        for mark in [close_on_exec, each_close_on_exec] {
            let inherited = File::open("/dev/null").unwrap();
            fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
            mark().unwrap();
            assert_eq!(fcntl_getfd(&inherited).unwrap(), FdFlags::CLOEXEC);
        }
    }
}
