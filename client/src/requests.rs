//! Dividing what a command wants into requests that the daemon takes.

use onewriter_proto::v1::mutation::Kind;

/// How many mutations, or paths, go into one request. The daemon takes 10,000.
const ITEMS: usize = 5_000;

/// How large they may be together, in bytes. The daemon takes messages of 4 MiB.
const BYTES: usize = 1 << 20;

/// What a command wants, in requests.
#[derive(Debug)]
pub(crate) enum Requests {
    /// Paths that are to be attempted, whatever becomes of the others; in one mutation for each
    /// request.
    Apart(Vec<Kind>),
    /// Mutations one after another, until one fails.
    InOrder(Vec<Vec<Kind>>),
    /// The same, each in a request of its own, of one path.
    OneByOne(Vec<Kind>),
}

impl Requests {
    /// For a server that does each once, however often it is asked.
    pub(crate) fn one_by_one(mut kinds: Vec<Kind>) -> Self {
        let each =
            |kind| divided_into(kind, |paths| paths.into_iter().map(|path| vec![path]).collect());
        match (kinds.pop(), kinds.is_empty()) {
            (Some(only), true) => Self::Apart(each(only)),
            (last, _) => Self::OneByOne(kinds.into_iter().chain(last).flat_map(each).collect()),
        }
    }

    pub(crate) fn of(mut kinds: Vec<Kind>) -> Self {
        match (kinds.pop(), kinds.is_empty()) {
            (Some(only), true) => Self::Apart(divided(only)),
            (last, _) => {
                kinds.extend(last);
                Self::InOrder(parts(kinds, Kind::encoded_len))
            }
        }
    }
}

fn divided(kind: Kind) -> Vec<Kind> {
    divided_into(kind, |paths| parts(paths, Vec::len))
}

fn divided_into(
    mut kind: Kind,
    parts: impl FnOnce(Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>>,
) -> Vec<Kind> {
    let Some(paths) = paths(&mut kind) else { return vec![kind] };
    if paths.len() == 1 {
        return vec![kind];
    }
    let parts = parts(std::mem::take(paths));
    let with = |part| {
        let mut kind = kind.clone();
        self::paths(&mut kind).expect("it has paths").extend::<Vec<_>>(part);
        kind
    };
    parts.into_iter().map(with).collect()
}

/// The paths of a mutation that takes many.
fn paths(kind: &mut Kind) -> Option<&mut Vec<Vec<u8>>> {
    match kind {
        Kind::MakeDirectories(make) => Some(&mut make.paths),
        Kind::Remove(remove) => Some(&mut remove.paths),
        Kind::Touch(touch) => Some(&mut touch.paths),
        Kind::SetAttributes(set) => Some(&mut set.paths),
        _ => None,
    }
}

/// In their order, in as few parts as the limits allow; none of them is empty.
pub(crate) fn parts<T>(items: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        bytes += size(&item);
        match parts.last_mut() {
            Some(part) if part.len() < ITEMS && bytes <= BYTES => part.push(item),
            _ => {
                bytes = size(&item);
                parts.push(vec![item]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use onewriter_proto::v1::{MakeDirectories, Symlink};

    use super::*;

    fn make(paths: Vec<Vec<u8>>) -> Kind {
        Kind::MakeDirectories(MakeDirectories { paths, must_create: true, ..Default::default() })
    }

    #[test]
    fn paths_are_divided_by_number_and_by_size() {
        for (length, count, sizes) in [
            (10, 12_000, vec![5000, 5000, 2000]),
            (1 << 18, 6, vec![4, 2]),
            (2 << 20, 2, vec![1, 1]),
        ] {
            let Requests::Apart(requests) =
                Requests::of(vec![make(vec![vec![b'x'; length]; count])])
            else {
                panic!("paths stand apart");
            };
            let size = |mut kind: Kind| {
                assert!(matches!(&kind, Kind::MakeDirectories(make) if make.must_create));
                paths(&mut kind).unwrap().len()
            };
            assert_eq!(requests.into_iter().map(size).collect::<Vec<_>>(), sizes);
        }
    }

    #[test]
    fn mutations_keep_their_order() {
        let link = |n: usize| {
            Kind::Symlink(Symlink { path: n.to_be_bytes().into(), ..Default::default() })
        };
        let all: Vec<_> = (0..12_001).map(link).collect();
        let Requests::InOrder(requests) = Requests::of(all.clone()) else { panic!("in order") };
        assert_eq!(requests.iter().map(Vec::len).collect::<Vec<_>>(), [5000, 5000, 2001]);
        assert_eq!(requests.concat(), all);
    }
}
