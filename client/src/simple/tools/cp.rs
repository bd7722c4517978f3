//! `cp`.

use onewriter_proto::v1::{Publication, Unchanged};

use super::{Call, copy_tree, destination};
use crate::simple::{
    node::{Kind, Node},
    options::{EXACTLY, Given, INTO, flag},
    plan::Plan,
    world::{Last, Spot, Way, is_within},
};

/// How things are copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Mode, owner and times are kept (`-p`, `-a`).
    pub(super) preserve: bool,
    /// Names of one file stay names of one file (`-a`).
    pub(super) keep_links: bool,
    recursive: bool,
}

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let known = [
        flag(b'f', "force"),
        flag(b'p', ""),
        flag(b'r', "recursive"),
        flag(b'R', "recursive"),
        flag(b'a', "archive"),
        INTO,
        EXACTLY,
    ];
    let given = Given::read(call.arguments, &known)?;
    let archive = given.has(b'a');
    let how = How {
        preserve: archive || given.has(b'p'),
        keep_links: archive,
        recursive: archive || given.has(b'r') || given.has(b'R'),
    };
    let (mut status, mut seen) = (0, Vec::new());
    for pair in destination::pairs(&given, plan, false)? {
        status |= one(call, plan, &pair, how, &mut seen)?;
    }
    Some(status)
}

/// `seen`: the directories that were copied before.
fn one(
    call: &Call<'_>,
    plan: &mut Plan,
    pair: &destination::Pair,
    how: How,
    seen: &mut Vec<Vec<u8>>,
) -> Option<i32> {
    let last = if how.recursive { Last::Keep } else { Last::Follow };
    let source = match plan.world.find(&pair.source, last)? {
        Way::To(spot) if spot.through && spot.node.is_missing() => return None,
        Way::To(spot) if !spot.node.is_missing() => spot,
        Way::NotDirectory => return None,
        Way::To(_) | Way::NoEntry => {
            let why = "No such file or directory";
            return plan.complain(call, "cannot stat", &pair.source, why);
        }
    };
    match source.node.kind {
        Kind::Directory if how.recursive => {
            // It remembers them, and takes one that comes again for a hard link.
            let overlaps =
                |other: &Vec<u8>| is_within(other, &source.path) || is_within(&source.path, other);
            if seen.iter().any(overlaps) {
                return None;
            }
            seen.push(source.path.clone());
            copy_tree::start(call, plan, &source, &pair.to, how)?;
            Some(0)
        }
        Kind::Directory => {
            let what = "-r not specified; omitting directory";
            plan.omit(call, what, &pair.source)
        }
        Kind::Link(_) => {
            copy_tree::link(call, plan, &source, &pair.to, how)?;
            Some(0)
        }
        Kind::File => file(call, plan, &source, &pair.to, how),
        Kind::Other | Kind::Missing => None,
    }
}

const CANNOT: &str = "cannot create regular file";

/// Copies a file onto `word`.
pub(super) fn file(
    call: &Call<'_>,
    plan: &mut Plan,
    source: &Spot,
    word: &[u8],
    how: How,
) -> Option<i32> {
    may_read(plan, &source.node, how.preserve)?;
    if how.keep_links && source.node.links > 1 {
        return None;
    }
    let to = match plan.world.find(word, Last::Follow)? {
        Way::To(spot) => spot,
        Way::NoEntry => return plan.complain(call, CANNOT, word, "No such file or directory"),
        Way::NotDirectory => return None,
    };
    let is_new = to.node.is_missing();
    if is_new {
        plan.new_file(&to)?;
    } else {
        plan.writable(&to)?;
        // Whose it stays is simple only if it is ours.
        let ours = (to.node.uid, to.node.gid) == plan.world.me;
        if to.node.is_same(&source.node) || to.path == source.path || how.preserve && !ours {
            return None;
        }
    }
    let times = source.node.times.filter(|_| how.preserve);
    let publication = Publication {
        path: to.path.clone(),
        mode: how.preserve.then_some(source.node.mode),
        mtime: times.map(|(_, mtime)| mtime),
        unchanged: Unchanged::Touch.into(),
        ..Publication::default()
    };
    plan.publish(source, publication, call.blame(CANNOT, word));
    if let Some((atime, _)) = times {
        plan.keep_atime(&to.path, atime, call.blame("preserving times for", word));
    }
    let mode = match (how.preserve, is_new) {
        (true, _) => source.node.mode,
        (false, true) => source.node.mode & 0o777 & !plan.umask,
        (false, false) => to.node.mode,
    };
    let node = if is_new { Node::new(Kind::File, mode, plan.world.me) } else { to.node };
    let content = source.node.content.clone();
    plan.world.put(&to.path, Node { mode, times, content, ..node });
    Some(0)
}

/// Makes sure that a file can be copied, and what else it carries need not be.
fn may_read(plan: &Plan, node: &Node, preserve: bool) -> Option<()> {
    let fits = node.is_file() && plan.world.may(node, 4)? && !node.is_special();
    if preserve {
        let plain = (node.uid, node.gid) == plan.world.me && !plan.world.is_adorned(node);
        node.times.filter(|_| plain)?;
    }
    fits.then_some(())
}
