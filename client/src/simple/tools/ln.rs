//! `ln`.

use onewriter_proto::v1::{HardLink, Symlink, mutation::Kind as Mutation};

use super::{
    Call,
    destination::{self, Pair},
};
use crate::simple::{
    node::{Kind, Node},
    options::{EXACTLY, Given, INTO, flag},
    plan::Plan,
    world::{Last, Spot, Way},
};

const MISSING: &str = "No such file or directory";

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let known =
        [flag(b's', "symbolic"), flag(b'f', "force"), flag(b'n', "no-dereference"), INTO, EXACTLY];
    let given = Given::read(call.arguments, &known)?;
    let force = given.has(b'f');
    let alone = given.operands.len() == 1 && given.value(b't')?.is_none() && !given.has(b'T');
    let pairs = match alone {
        // A link of that name, here.
        true => destination::under(&given.operands, b".")?,
        false => destination::pairs(&given, plan, given.has(b'n'))?,
    };
    let mut status = 0;
    for pair in pairs {
        status |= match given.has(b's') {
            true => symbolic(call, plan, &pair, force)?,
            false => hard(call, plan, &pair, force)?,
        };
    }
    Some(status)
}

/// The place for a link, or the exit code of who cannot make one there.
fn place(
    call: &Call<'_>,
    plan: &mut Plan,
    what: &str,
    pair: &Pair,
    force: bool,
) -> Option<Result<Spot, i32>> {
    let spot = match plan.world.find(&pair.to, Last::Keep)? {
        Way::To(spot) => spot,
        Way::NoEntry if what == CANNOT_LINK => return None,
        Way::NoEntry => return plan.complain(call, what, &pair.to, MISSING).map(Err),
        Way::NotDirectory => return None,
    };
    if spot.slash || spot.dots || spot.through {
        return None;
    }
    match spot.node.kind {
        Kind::Missing => plan.new_file(&spot)?,
        Kind::File | Kind::Link(_) if force && plan.world.owns(&spot.node) => {
            plan.world.may_change(&spot.path)?;
        }
        Kind::File | Kind::Link(_) if !force => {
            return plan.complain(call, what, &pair.to, "File exists").map(Err);
        }
        _ => return None,
    }
    Some(Ok(spot))
}

const CANNOT_SYMLINK: &str = "failed to create symbolic link";

fn symbolic(call: &Call<'_>, plan: &mut Plan, pair: &Pair, force: bool) -> Option<i32> {
    let spot = match place(call, plan, CANNOT_SYMLINK, pair, force)? {
        Ok(spot) => spot,
        Err(status) => return Some(status),
    };
    // What would be replaced by a link to itself, `ln` keeps.
    if spot.node.is_file()
        && let Way::To(target) = plan.world.find(&pair.source, Last::Follow)?
        && (target.path == spot.path || target.node.is_same(&spot.node))
    {
        return None;
    }
    let target = pair.source.clone();
    if target.is_empty() || target.len() > 1000 {
        return None;
    }
    let kind = Kind::Link(target.clone());
    let link = Symlink { path: spot.path.clone(), target, replace: force, parents: false };
    plan.act(Mutation::Symlink(link), call.blame(CANNOT_SYMLINK, &pair.to));
    plan.world.put(&spot.path, Node::new(kind, 0o777, plan.world.me));
    Some(0)
}

const CANNOT_LINK: &str = "failed to create hard link";

fn hard(call: &Call<'_>, plan: &mut Plan, pair: &Pair, force: bool) -> Option<i32> {
    let source = match plan.world.find(&pair.source, Last::Keep)? {
        Way::To(spot) if spot.node.is_missing() => {
            return plan.complain(call, "failed to access", &pair.source, MISSING);
        }
        Way::NoEntry => return plan.complain(call, "failed to access", &pair.source, MISSING),
        Way::To(spot) if spot.node.is_file() && plan.world.owns(&spot.node) => spot,
        _ => return None,
    };
    let spot = match place(call, plan, CANNOT_LINK, pair, force)? {
        Ok(spot) => spot,
        Err(status) => return Some(status),
    };
    if spot.path == source.path || spot.node.is_same(&source.node) {
        return None;
    }
    let link = HardLink {
        source: source.path.clone(),
        path: spot.path.clone(),
        replace: force,
        parents: false,
    };
    plan.act(Mutation::HardLink(link), call.blame(CANNOT_LINK, &pair.to));
    // From now on it has other names, of which not all are known.
    let node = Node { links: source.node.links + 1, content: None, ..source.node };
    plan.world.put(&source.path, node.clone());
    plan.world.put(&spot.path, node);
    Some(0)
}
