//! Other machines: large files over TLS, many connections that stand idle, and many clients.

mod crowd;
mod files;
mod idle;
mod team;

use crate::support::Setup;

pub(crate) fn figures(setup: &Setup) {
    files::figures(setup);
    idle::figures(setup);
    crowd::figures(setup);
}
