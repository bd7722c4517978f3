//! `rm`.

use std::io::IsTerminal as _;

use onewriter_proto::v1::{Remove, mutation::Kind as Mutation};

use super::Call;
use crate::simple::{
    node::Kind,
    options::{Given, flag},
    plan::Plan,
    world::{Last, Spot, Way, World, join},
};

const CANNOT: &str = "cannot remove";

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let known = [flag(b'f', "force"), flag(b'r', "recursive"), flag(b'R', "recursive")];
    let given = Given::read(call.arguments, &known)?;
    let force = given.has(b'f');
    let recursive = given.has(b'r') || given.has(b'R');
    if !force && given.operands.is_empty() {
        return None;
    }
    let mut status = 0;
    for word in given.operands {
        let spot = match plan.world.find(word, Last::Keep)? {
            Way::To(spot) if spot.dots || spot.through => return None,
            Way::To(spot) if !spot.node.is_missing() => spot,
            _ if force => continue,
            Way::NotDirectory => {
                status |= plan.complain(call, CANNOT, word, "Not a directory")?;
                continue;
            }
            Way::NoEntry | Way::To(_) => {
                status |= plan.complain(call, CANNOT, word, "No such file or directory")?;
                continue;
            }
        };
        if spot.node.is_directory() && !recursive {
            status |= plan.complain(call, CANNOT, word, "Is a directory")?;
            continue;
        }
        remove(call, plan, word, &spot, recursive, force)?;
    }
    Some(status)
}

fn remove(
    call: &Call<'_>,
    plan: &mut Plan,
    word: &[u8],
    spot: &Spot,
    recursive: bool,
    force: bool,
) -> Option<()> {
    plan.may_take(&spot.path)?;
    // It would ask about what may not be written to.
    let asks = match spot.node.kind {
        Kind::File => !plan.world.may(&spot.node, 2)?,
        _ => spot.node.is_directory(),
    };
    if asks && !force && std::io::stdin().is_terminal() {
        return None;
    }
    if spot.node.is_directory() {
        may_empty(&mut plan.world, &spot.path)?;
    }
    if spot.node.kind == Kind::Other {
        return None;
    }
    let remove = Remove {
        paths: vec![spot.path.clone()],
        recursive,
        allow_missing: force,
        directory: false,
    };
    plan.act(Mutation::Remove(remove), call.blame(CANNOT, word));
    plan.world.remove(&spot.path);
    Some(())
}

/// Makes sure that everything in a directory can be removed: an ordinary user may not look into, or
/// take anything out of, each that he owns.
fn may_empty(world: &mut World, path: &[u8]) -> Option<()> {
    // What root may remove it may remove wherever it lies, mount points apart, which the daemon
    // does not cross.
    if world.me.0 == 0 {
        return Some(());
    }
    let node = world.at(path)?;
    if !world.owns(&node) || node.mode & 0o700 != 0o700 {
        return None;
    }
    for name in world.names(path)? {
        let below = join(path, &name);
        if world.at(&below)?.is_directory() {
            may_empty(world, &below)?;
        }
    }
    Some(())
}
