//! `touch`.

use onewriter_proto::v1::{Touch, mutation::Kind as Mutation};

use super::Call;
use crate::simple::{
    node::{Kind, Node},
    options::{Given, flag, value},
    plan::Plan,
    world::{Last, Way},
};

const CANNOT: &str = "cannot touch";

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let known = [flag(b'c', "no-create"), flag(b'a', ""), flag(b'm', ""), value(b'r', "reference")];
    let given = Given::read(call.arguments, &known)?;
    if given.operands.is_empty() {
        return None;
    }
    let times = match given.value(b'r')? {
        None => None,
        Some(word) => match plan.world.find(word, Last::Follow)? {
            Way::To(spot) if spot.node.is_file() => Some(spot.node.times?),
            _ => return None,
        },
    };
    let (access, modification) = (given.has(b'a'), given.has(b'm'));
    let touch = Touch {
        paths: Vec::new(),
        no_create: given.has(b'c'),
        atime: times.map(|(atime, _)| atime),
        mtime: times.map(|(_, mtime)| mtime),
        omit_atime: modification && !access,
        omit_mtime: access && !modification,
    };
    let mut status = 0;
    for word in &given.operands {
        status |= one(call, plan, word, &touch)?;
    }
    Some(status)
}

fn one(call: &Call<'_>, plan: &mut Plan, word: &[u8], touch: &Touch) -> Option<i32> {
    let spot = match plan.world.find(word, Last::Follow)? {
        _ if word == b"-" => return None,
        Way::To(spot) => spot,
        Way::NoEntry if touch.no_create => return Some(0),
        Way::NoEntry => return plan.complain(call, CANNOT, word, "No such file or directory"),
        Way::NotDirectory => return None,
    };
    let both = !touch.omit_atime && !touch.omit_mtime;
    let times = if both { touch.atime.zip(touch.mtime) } else { None };
    let node = match spot.node.kind {
        Kind::Missing if spot.through || spot.slash => return None,
        Kind::Missing if touch.no_create => return Some(0),
        Kind::Missing => {
            plan.new_file(&spot)?;
            let content = Some(Vec::new());
            Node { content, ..Node::new(Kind::File, 0o666 & !plan.umask, plan.world.me) }
        }
        Kind::File | Kind::Directory if plan.world.owns(&spot.node) => spot.node,
        _ => return None,
    };
    let deed = Touch { paths: vec![spot.path.clone()], ..touch.clone() };
    plan.act(Mutation::Touch(deed), call.blame(CANNOT, word));
    plan.world.put(&spot.path, Node { times, ..node });
    Some(0)
}
