//! `rmdir`.

use onewriter_proto::v1::{Remove, mutation::Kind};

use super::Call;
use crate::simple::{
    options::Given,
    plan::Plan,
    world::{Last, Way},
};

const CANNOT: &str = "failed to remove";

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let given = Given::read(call.arguments, &[])?;
    if given.operands.is_empty() {
        return None;
    }
    let mut status = 0;
    for word in given.operands {
        status |= one(call, plan, word)?;
    }
    Some(status)
}

fn one(call: &Call<'_>, plan: &mut Plan, word: &[u8]) -> Option<i32> {
    let spot = match plan.world.find(word, Last::Keep)? {
        Way::NoEntry => return plan.complain(call, CANNOT, word, "No such file or directory"),
        Way::NotDirectory => return plan.complain(call, CANNOT, word, "Not a directory"),
        Way::To(spot) => spot,
    };
    if spot.dots || spot.through || spot.node.is_link() {
        return None;
    }
    if spot.node.is_missing() {
        return plan.complain(call, CANNOT, word, "No such file or directory");
    }
    plan.may_take(&spot.path)?;
    if !spot.node.is_directory() {
        return plan.complain(call, CANNOT, word, "Not a directory");
    }
    if !plan.world.names(&spot.path)?.is_empty() {
        return plan.complain(call, CANNOT, word, "Directory not empty");
    }
    let remove = Remove { paths: vec![spot.path.clone()], directory: true, ..Remove::default() };
    plan.act(Kind::Remove(remove), call.blame(CANNOT, word));
    plan.world.remove(&spot.path);
    Some(0)
}
