//! Memory that a busy time leaves behind.

use std::time::Duration;

use crate::lifecycle::Lifecycle;

/// When nobody has been connected for so long. Threads that wait for the disk end after 10 s without
/// work, and what they have left belongs to nobody then.
const QUIET: Duration = Duration::from_secs(12);

/// Gives it back to the system whenever it has become quiet. The allocator does so by itself only where
/// more is asked of it.
pub(crate) async fn give_back(lifecycle: &Lifecycle) {
    loop {
        lifecycle.idle(QUIET).await;
        collect();
        lifecycle.busy().await;
    }
}

#[expect(unsafe_code, reason = "no safe binding of mi_collect")]
fn collect() {
    // SAFETY: the call has no conditions.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
