//! `mv`.

use std::io::IsTerminal as _;

use onewriter_proto::v1::{Rename, mutation::Kind as Mutation};

use super::{
    Call,
    destination::{self, Pair},
};
use crate::simple::{
    node::Kind,
    options::{EXACTLY, Given, INTO, flag},
    plan::Plan,
    speech,
    world::{Last, Way, is_within, parent},
};

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let given = Given::read(call.arguments, &[flag(b'f', "force"), INTO, EXACTLY])?;
    let mut status = 0;
    for pair in destination::pairs(&given, plan, false)? {
        status |= one(call, plan, &pair, given.has(b'f'))?;
    }
    Some(status)
}

fn one(call: &Call<'_>, plan: &mut Plan, pair: &Pair, force: bool) -> Option<i32> {
    let missing = "No such file or directory";
    let source = match plan.world.find(&pair.source, Last::Keep)? {
        Way::To(spot) if spot.dots || spot.through => return None,
        Way::To(spot) if !spot.node.is_missing() => spot,
        Way::NotDirectory => return None,
        Way::To(_) | Way::NoEntry => {
            return plan.complain(call, "cannot stat", &pair.source, missing);
        }
    };
    let Way::To(to) = plan.world.find(&pair.to, Last::Keep)? else { return None };
    let same = to.path == source.path || to.node.is_same(&source.node);
    if same || to.slash || to.dots || to.through {
        return None;
    }
    // A link that leads to what it would replace is "the same file".
    if source.node.is_link()
        && !to.node.is_missing()
        && let Way::To(target) = plan.world.find(&pair.source, Last::Follow)?
        && (target.path == to.path || target.node.is_same(&to.node))
    {
        return None;
    }
    match (&source.node.kind, &to.node.kind) {
        (Kind::Directory, Kind::Missing) => {
            let moves = parent(&source.path) != parent(&to.path);
            let may = !moves || plan.world.owns(&source.node) && plan.world.may(&source.node, 2)?;
            if !may || is_within(&to.path, &source.path) {
                return None;
            }
        }
        (Kind::File | Kind::Link(_), Kind::Missing | Kind::Link(_)) => {}
        (Kind::File | Kind::Link(_), Kind::File) => {
            // It would ask about what may not be written to.
            let asks = !force && !plan.world.may(&to.node, 2)?;
            if !plan.world.owns(&to.node) || asks && std::io::stdin().is_terminal() {
                return None;
            }
        }
        _ => return None,
    }
    plan.may_take(&source.path)?;
    plan.world.may_change(&to.path)?;
    let rename = Rename { from: source.path.clone(), to: to.path.clone(), ..Rename::default() };
    let blame = call.blame("cannot move", &pair.source);
    let blame = [&blame[..], b" to ", &speech::quoted(&pair.to)].concat();
    plan.act(Mutation::Rename(rename), blame);
    plan.world.rename(&source.path, &to.path);
    Some(0)
}
