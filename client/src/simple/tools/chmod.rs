//! `chmod`.

use onewriter_proto::v1::{ModeChange, SetAttributes, mutation::Kind as Mutation};

use super::Call;
use crate::{
    mode,
    simple::{
        node::{Kind, Node, SPECIAL},
        options::{Given, flag},
        plan::Plan,
        world::{Last, Way, join},
    },
};

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let given = Given::read(call.arguments, &[flag(b'R', "recursive")])?;
    let recursive = given.has(b'R');
    let (mode, words) = given.operands.split_first().filter(|(_, words)| !words.is_empty())?;
    let mode = std::str::from_utf8(mode).ok()?;
    mode::of_existing(mode, 0, 0, false).ok()?;
    let mut status = 0;
    for word in words {
        let last = if recursive { Last::Keep } else { Last::Follow };
        let spot = match plan.world.find(word, last)? {
            Way::NotDirectory => return None,
            Way::To(spot) if spot.node.is_link() || spot.through && spot.node.is_missing() => {
                return None;
            }
            Way::To(spot) if !spot.node.is_missing() => spot,
            Way::NoEntry | Way::To(_) => {
                let why = "No such file or directory";
                status |= plan.complain(call, "cannot access", word, why)?;
                continue;
            }
        };
        let blame = call.blame("changing permissions of", word);
        change(plan, &spot.path, &spot.node, mode, recursive, &blame)?;
    }
    Some(status)
}

fn change(
    plan: &mut Plan,
    path: &[u8],
    node: &Node,
    text: &str,
    recursive: bool,
    blame: &[u8],
) -> Option<()> {
    match node.kind {
        Kind::File | Kind::Directory if plan.world.owns(node) && !path.is_empty() => {}
        Kind::Link(_) => return Some(()),
        _ => return None,
    }
    let mode = mode::of_existing(text, node.mode, plan.umask, node.is_directory()).ok()?;
    if (mode | node.mode) & SPECIAL != 0 {
        return None;
    }
    let descends = recursive && node.is_directory();
    // It would close the directory before it goes into it.
    if descends && plan.world.me.0 != 0 && mode & node.mode & 0o500 != 0o500 {
        return None;
    }
    set_mode(plan, path, mode, blame.to_vec());
    plan.world.put(path, Node { mode, ..node.clone() });
    if descends {
        for name in plan.world.names(path)? {
            let below = join(path, &name);
            let node = plan.world.at(&below)?;
            change(plan, &below, &node, text, true, blame)?;
        }
    }
    Some(())
}

/// Sets the mode of `path`.
pub(super) fn set_mode(plan: &mut Plan, path: &[u8], mode: u32, blame: Vec<u8>) {
    let set = SetAttributes {
        paths: vec![path.to_vec()],
        mode: Some(ModeChange { keep: 0, set: mode }),
        ..SetAttributes::default()
    };
    plan.act(Mutation::SetAttributes(set), blame);
}
