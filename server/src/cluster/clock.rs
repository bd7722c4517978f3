//! A clock that goes on while this process, or the whole machine, is stopped.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time since the machine was started (CLOCK_BOOTTIME), sleep included.
pub(super) fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
