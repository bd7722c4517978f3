//! `cp -r`: directories with everything in them.

use onewriter_proto::v1::{ModeChange, SetAttributes, Symlink, mutation::Kind as Mutation};

use super::{
    Call,
    cp::{self, How},
};
use crate::simple::{
    node::{Kind, Node},
    plan::Plan,
    world::{Last, Spot, Way, is_within, join},
};

/// Copies the directory `source` onto `word`.
pub(super) fn start(
    call: &Call<'_>,
    plan: &mut Plan,
    source: &Spot,
    word: &[u8],
    how: How,
) -> Option<()> {
    let Way::To(to) = plan.world.find(word, Last::Follow)? else { return None };
    let overlap = is_within(&to.path, &source.path) || is_within(&source.path, &to.path);
    if overlap || to.through || to.node.is_missing() && to.dots {
        return None;
    }
    directory(call, plan, source, word, &to, how)
}

/// What a directory's owner needs to fill it.
const FILLABLE: u32 = 0o700;

fn directory(
    call: &Call<'_>,
    plan: &mut Plan,
    source: &Spot,
    word: &[u8],
    to: &Spot,
    how: How,
) -> Option<()> {
    let from = &source.node;
    let readable = plan.world.may(from, 4)? && plan.world.may(from, 1)? && !from.is_special();
    let mut mode = match how.preserve {
        true => from.mode,
        false => from.mode & 0o777 & !plan.umask,
    };
    let blame = call.blame("cannot create directory", word);
    let is_new = to.node.is_missing();
    match to.node.kind {
        _ if !readable => return None,
        Kind::Missing => {
            plan.make_directory(&to.path, Some(mode | FILLABLE), true, blame.clone())?;
        }
        Kind::Directory if plan.world.owns(&to.node) && !to.node.is_special() => {
            if !how.preserve {
                mode = to.node.mode;
            }
        }
        _ => return None,
    }
    for name in plan.world.names(&source.path)? {
        let below = join(&source.path, &name);
        let spot =
            |path: Vec<u8>, node| Spot { path, node, slash: false, dots: false, through: false };
        let inner = spot(below.clone(), plan.world.at(&below)?);
        let inner_word = [word, b"/", &name].concat();
        if name == b".onewriter" {
            return None;
        }
        match inner.node.kind {
            Kind::Directory => {
                let path = join(&to.path, &name);
                let there = spot(path.clone(), plan.world.at(&path)?);
                directory(call, plan, &inner, &inner_word, &there, how)?;
            }
            Kind::Link(_) => link(call, plan, &inner, &inner_word, how)?,
            Kind::File => {
                let Way::To(there) = plan.world.find(&inner_word, Last::Keep)? else { return None };
                if there.node.is_link() || cp::file(call, plan, &inner, &inner_word, how)? != 0 {
                    return None;
                }
            }
            Kind::Missing | Kind::Other => return None,
        }
    }
    plan.world.read(&source.path);
    if how.preserve {
        // Only what was there before the line has a time to be kept.
        let ours = (from.uid, from.gid) == plan.world.me && !plan.world.is_adorned(from);
        from.times.filter(|_| ours)?;
    } else if !is_new || mode | FILLABLE == mode {
        return Some(());
    }
    let times = from.times.filter(|_| how.preserve);
    let set = SetAttributes {
        paths: vec![to.path.clone()],
        mode: Some(ModeChange { keep: 0, set: mode }),
        atime: times.map(|(atime, _)| atime),
        mtime: times.map(|(_, mtime)| mtime),
        ..SetAttributes::default()
    };
    plan.act(Mutation::SetAttributes(set), blame);
    let node = plan.world.at(&to.path)?;
    plan.world.put(&to.path, Node { mode, times, ..node });
    Some(())
}

/// Copies a symbolic link, as one, to a place where nothing is.
pub(super) fn link(
    call: &Call<'_>,
    plan: &mut Plan,
    source: &Spot,
    word: &[u8],
    how: How,
) -> Option<()> {
    let Way::To(to) = plan.world.find(word, Last::Keep)? else { return None };
    let Kind::Link(target) = source.node.kind.clone() else { return None };
    // The times of a link are nothing that can be asked of the daemon.
    if how.preserve || !to.node.is_missing() {
        return None;
    }
    plan.new_file(&to)?;
    let kind = Kind::Link(target.clone());
    let path = to.path.clone();
    let link = Symlink { path, target, ..Symlink::default() };
    plan.act(Mutation::Symlink(link), call.blame("cannot create symbolic link", word));
    plan.world.put(&to.path, Node::new(kind, 0o777, plan.world.me));
    Some(())
}
