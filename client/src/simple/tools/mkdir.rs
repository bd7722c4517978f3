//! `mkdir`.

use super::Call;
use crate::{
    mode,
    simple::{
        node::SPECIAL,
        options::{Given, flag, value},
        plan::Plan,
        world::{Last, Way, name, without_slashes},
    },
};

const CANNOT: &str = "cannot create directory";

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let known = [flag(b'p', "parents"), value(b'm', "mode")];
    let given = Given::read(call.arguments, &known)?;
    let mode = match given.value(b'm')? {
        Some(text) => Some(mode_of(text, plan.umask)?),
        None => None,
    };
    if given.operands.is_empty() {
        return None;
    }
    let mut status = 0;
    for word in &given.operands {
        status |= match given.has(b'p') {
            true => with_parents(call, plan, word, mode)?,
            false => one(call, plan, word, mode)?,
        };
    }
    Some(status)
}

fn mode_of(text: &[u8], umask: u32) -> Option<u32> {
    let mode = mode::of_new_directory(std::str::from_utf8(text).ok()?, umask).ok()?;
    (mode & SPECIAL == 0).then_some(mode)
}

fn one(call: &Call<'_>, plan: &mut Plan, word: &[u8], mode: Option<u32>) -> Option<i32> {
    let spot = match plan.world.find(word, Last::Keep)? {
        Way::NoEntry => return plan.complain(call, CANNOT, word, "No such file or directory"),
        Way::NotDirectory => return None,
        Way::To(spot) => spot,
    };
    if spot.dots || spot.through {
        return None;
    }
    if !spot.node.is_missing() {
        return plan.complain(call, CANNOT, word, "File exists");
    }
    plan.make_directory(&spot.path, mode, true, call.blame(CANNOT, word))?;
    Some(0)
}

fn with_parents(call: &Call<'_>, plan: &mut Plan, word: &[u8], mode: Option<u32>) -> Option<i32> {
    match plan.world.find(word, Last::Follow)? {
        Way::To(spot) if spot.node.is_file() && !spot.slash => {
            return plan.complain(call, CANNOT, word, "File exists");
        }
        // Also one that is there, so that the journal knows who wanted it.
        Way::To(spot) if spot.node.is_directory() => {
            plan.find_directory(&spot.path, call.blame(CANNOT, word));
            return Some(0);
        }
        _ => {}
    }
    // To some versions the mode is that of the directory, to some that of a `.` in it.
    if mode.is_some() && name(without_slashes(word)) == b"." {
        return None;
    }
    let missing = plan.missing_way(word)?;
    let (last, above) = missing.split_last()?;
    plan.ensure_directory(last, mode, call.blame(CANNOT, word));
    for path in above {
        plan.foresee_directory(path, 0o777 & !plan.umask | 0o300);
    }
    plan.foresee_directory(last, mode.unwrap_or(0o777 & !plan.umask));
    Some(0)
}
