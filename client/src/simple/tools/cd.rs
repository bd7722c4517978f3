//! `cd`: where the commands after it stand.

use std::{env, ffi::OsStr, os::unix::ffi::OsStrExt as _};

use crate::simple::{
    plan::Plan,
    world::{Last, Way},
};

pub(super) fn run(arguments: &[Vec<u8>], plan: &mut Plan) -> Option<i32> {
    let [word] = arguments else { return None };
    if word.starts_with(b"-") {
        return None;
    }
    let has_parents = word.split(|&b| b == b'/').any(|name| name == b"..");
    if has_parents && !is_physical(word, plan) {
        return None;
    }
    let Way::To(spot) = plan.world.find(word, Last::Follow)? else { return None };
    if !spot.node.is_directory() || !plan.world.may(&spot.node, 1)? {
        return None;
    }
    plan.world.here = spot.path;
    Some(0)
}

/// Whether `..` in `word` means to the shell, which goes by names, what it means to the kernel:
/// nothing but `..` comes before it, and the shell knows the directory by its real name.
fn is_physical(word: &[u8], plan: &Plan) -> bool {
    let here = plan.world.absolute(&plan.world.here);
    let named = env::var_os("PWD").is_some_and(|pwd| pwd == OsStr::from_bytes(&here));
    let ups = word.split(|&b| b == b'/').skip_while(|name| *name == b"..");
    named && ups.into_iter().all(|name| name != b"..")
}
