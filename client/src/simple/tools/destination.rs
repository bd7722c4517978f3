//! Where `cp`, `install`, `mv` and `ln` put things: at a name, or under their own names in a
//! directory.

use crate::simple::{
    options::Given,
    plan::Plan,
    world::{Last, Spot, Way, name, without_slashes},
};

/// A source with its destination, as the tool would print them.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) source: Vec<u8>,
    pub(super) to: Vec<u8>,
}

/// Each source with its destination. `keep_link`: a symbolic link is the very name, as with `ln -n`.
pub(super) fn pairs(given: &Given<'_>, plan: &mut Plan, keep_link: bool) -> Option<Vec<Pair>> {
    let operands = &given.operands[..];
    let exactly = given.has(b'T');
    if let Some(directory) = given.value(b't')? {
        if exactly || keep_link || operands.is_empty() {
            return None;
        }
        existing_directory(plan, directory)?;
        return under(operands, directory);
    }
    let (last, sources) = operands.split_last()?;
    match sources {
        [] => None,
        // To some versions it is no directory then.
        [_, _, ..] if keep_link => None,
        [source] if exactly || keep_link && is_link(plan, last)? => pair(source, last),
        _ if exactly => None,
        [source] => match directory(plan, last)? {
            Some(_) => under(&[*source], last),
            // What is to be a directory by its spelling, and is none.
            None if last.ends_with(b"/") => None,
            None => pair(source, last),
        },
        sources => {
            existing_directory(plan, last)?;
            under(sources, last)
        }
    }
}

fn pair(source: &[u8], to: &[u8]) -> Option<Vec<Pair>> {
    Some(vec![Pair { source: source.to_vec(), to: to.to_vec() }])
}

fn is_link(plan: &mut Plan, word: &[u8]) -> Option<bool> {
    Some(match plan.world.find(word, Last::Keep)? {
        Way::To(spot) => spot.node.is_link(),
        _ => false,
    })
}

/// The directory that `word` leads to.
pub(super) fn directory(plan: &mut Plan, word: &[u8]) -> Option<Option<Spot>> {
    Some(match plan.world.find(word, Last::Follow)? {
        Way::To(spot) if spot.node.is_directory() => Some(spot),
        _ => None,
    })
}

fn existing_directory(plan: &mut Plan, word: &[u8]) -> Option<Spot> {
    directory(plan, word)?
}

/// Sources under their own names. Two of one name are a matter between the tool and its user.
pub(super) fn under(sources: &[&[u8]], directory: &[u8]) -> Option<Vec<Pair>> {
    let mut pairs: Vec<Pair> = Vec::with_capacity(sources.len());
    for source in sources {
        let own = name(without_slashes(source));
        if own.is_empty() || own == b".." {
            return None;
        }
        let to = match directory.ends_with(b"/") {
            true => [directory, own].concat(),
            false => [directory, b"/", own].concat(),
        };
        if pairs.iter().any(|pair| pair.to == to) {
            return None;
        }
        pairs.push(Pair { source: source.to_vec(), to });
    }
    Some(pairs)
}
