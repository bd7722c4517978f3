//! `install`.

use onewriter_proto::v1::{Publication, Unchanged};

use super::{
    Call, chmod,
    destination::{self, Pair},
};
use crate::{
    mode,
    simple::{
        node::{Kind, Node, SPECIAL},
        options::{EXACTLY, Given, INTO, flag, value},
        plan::Plan,
        world::{Last, Way},
    },
};

/// What it gives to directories that it makes on the way.
const ON_THE_WAY: u32 = 0o755;

pub(super) fn run(call: &Call<'_>, plan: &mut Plan) -> Option<i32> {
    let known = [
        flag(b'c', ""),
        flag(b'd', "directory"),
        flag(b'D', ""),
        value(b'm', "mode"),
        flag(b'p', "preserve-timestamps"),
        INTO,
        EXACTLY,
    ];
    let given = Given::read(call.arguments, &known)?;
    let mode = std::str::from_utf8(given.value(b'm')?.unwrap_or(b"755")).ok()?;
    let mode = mode::of_existing(mode, 0, 0, given.has(b'd')).ok().filter(|m| m & SPECIAL == 0)?;
    if given.has(b'd') {
        // Of a directory that is there, a symbolic mode changes only what it names.
        let is_number = given.value(b'm')?.is_none_or(|mode| mode.iter().all(u8::is_ascii_digit));
        let alone = is_number && !given.has(b'D') && !given.has(b'p') && !given.has(b'T');
        if !alone || given.value(b't')?.is_some() || given.operands.is_empty() {
            return None;
        }
        given.operands.iter().try_for_each(|word| directory(call, plan, word, mode))?;
        return Some(0);
    }
    let pairs = match given.has(b'D') {
        true => with_parents(call, plan, &given)?,
        false => destination::pairs(&given, plan, false)?,
    };
    let mut status = 0;
    for pair in pairs {
        status |= file(call, plan, &pair, mode, given.has(b'p'))?;
    }
    Some(status)
}

/// The pairs of `-D`, whose missing directories are made.
fn with_parents(call: &Call<'_>, plan: &mut Plan, given: &Given<'_>) -> Option<Vec<Pair>> {
    if let Some(into) = given.value(b't')? {
        directory_on_the_way(call, plan, into)?;
        return destination::pairs(given, plan, false);
    }
    let [source, to] = given.operands[..] else { return None };
    // It makes directories also for what it then cannot copy.
    let Way::To(spot) = plan.world.find(source, Last::Follow)? else { return None };
    if !spot.node.is_file() || to.ends_with(b"/") {
        return None;
    }
    if given.has(b'T') || destination::directory(plan, to)?.is_none() {
        if let Some(slash) = to.iter().rposition(|&b| b == b'/') {
            directory_on_the_way(call, plan, Some(&to[..slash]).filter(|way| !way.is_empty())?)?;
        }
        return Some(vec![Pair { source: source.to_vec(), to: to.to_vec() }]);
    }
    destination::pairs(given, plan, false)
}

const CANNOT_MAKE: &str = "cannot create directory";

fn directory_on_the_way(call: &Call<'_>, plan: &mut Plan, word: &[u8]) -> Option<()> {
    for path in plan.missing_way(word)? {
        plan.make_directory(&path, Some(ON_THE_WAY), false, call.blame(CANNOT_MAKE, word))?;
    }
    Some(())
}

/// `-d`.
fn directory(call: &Call<'_>, plan: &mut Plan, word: &[u8], mode: u32) -> Option<()> {
    let blame = call.blame(CANNOT_MAKE, word);
    let missing = plan.missing_way(word)?;
    let Some((last, above)) = missing.split_last() else {
        // Unlike mkdir, it sets the mode of what was there.
        let Way::To(spot) = plan.world.find(word, Last::Follow)? else { return None };
        if !plan.world.owns(&spot.node) || spot.node.is_special() || spot.path.is_empty() {
            return None;
        }
        plan.find_directory(&spot.path, blame.clone());
        if spot.node.mode != mode {
            chmod::set_mode(plan, &spot.path, mode, blame);
            plan.world.put(&spot.path, Node { mode, ..spot.node });
        }
        return Some(());
    };
    for path in above {
        plan.make_directory(path, Some(ON_THE_WAY), false, blame.clone())?;
    }
    plan.make_directory(last, Some(mode), false, blame)
}

const CANNOT: &str = "cannot create regular file";

fn file(call: &Call<'_>, plan: &mut Plan, pair: &Pair, mode: u32, preserve: bool) -> Option<i32> {
    let missing = "No such file or directory";
    let source = match plan.world.find(&pair.source, Last::Follow)? {
        Way::To(spot) if spot.through && spot.node.is_missing() => return None,
        Way::To(spot) if !spot.node.is_missing() => spot,
        Way::NotDirectory => return None,
        Way::To(_) | Way::NoEntry => {
            return plan.complain(call, "cannot stat", &pair.source, missing);
        }
    };
    if source.node.is_directory() {
        return plan.omit(call, "omitting directory", &pair.source);
    }
    let readable = source.node.is_file() && plan.world.may(&source.node, 4)?;
    let to = match plan.world.find(&pair.to, Last::Keep)? {
        Way::To(spot) => spot,
        Way::NoEntry => return plan.complain(call, CANNOT, &pair.to, missing),
        Way::NotDirectory => return None,
    };
    let fits = match to.node.kind {
        Kind::Missing => true,
        Kind::File => plan.world.owns(&to.node) && !to.node.is_same(&source.node),
        // It looks where a link leads before it replaces it.
        Kind::Link(_) | Kind::Directory | Kind::Other => false,
    };
    if !readable || !fits || to.path == source.path {
        return None;
    }
    plan.new_file(&to)?;
    let times = if preserve { Some(source.node.times?) } else { None };
    // The daemon would keep an equal file, which may have other names, or another owner.
    let plain = to.node.links == 1
        && !plan.world.is_adorned(&to.node)
        && (to.node.uid, to.node.gid) == plan.world.me;
    let unchanged = if plain { Unchanged::Touch } else { Unchanged::Replace };
    let publication = Publication {
        path: to.path.clone(),
        mode: Some(mode),
        mtime: times.map(|(_, mtime)| mtime),
        unchanged: unchanged.into(),
        ..Publication::default()
    };
    plan.publish(&source, publication, call.blame(CANNOT, &pair.to));
    if let Some((atime, _)) = times {
        plan.keep_atime(&to.path, atime, call.blame("cannot set timestamps for", &pair.to));
    }
    let content = source.node.content.clone();
    let node = Node::new(Kind::File, mode, plan.world.me);
    plan.world.put(&to.path, Node { times, content, ..node });
    Some(0)
}
