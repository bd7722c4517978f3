//! What a message that describes a tree names.
//!
//! It is somebody's content, of up to so many megabytes; as a structure it would take a hundred times
//! as much, where it holds little but empty directories. So it is read as it stands.

use onewriter_proto::reapi;
use prost::Message as _;

/// Why the rest of a message was not read.
#[derive(Debug)]
pub(super) enum Stopped<E> {
    /// It is no message.
    Malformed,
    /// By whoever was told what it names.
    By(E),
}

/// Fields, by their numbers in `remote_execution.proto`: a `Tree`'s directories, their files, and the
/// digest of one.
const ROOT: u64 = 1;
const CHILDREN: u64 = 2;
const FILES: u64 = 1;
const DIGEST: u64 = 2;

/// Tells of the digest of each file in a `Tree`, one after another.
pub(super) fn each_file<E>(
    tree: &[u8],
    mut tell: impl FnMut(&reapi::Digest) -> Result<(), E>,
) -> Result<(), Stopped<E>> {
    for directory in Parts::of(tree, &[ROOT, CHILDREN]) {
        for file in Parts::of(directory?, &[FILES]) {
            let mut digest = None;
            for part in Parts::of(file?, &[DIGEST]) {
                let digest = digest.get_or_insert_with(reapi::Digest::default);
                digest.merge(part?).map_err(|_| Stopped::Malformed)?;
            }
            if let Some(digest) = digest {
                tell(&digest).map_err(Stopped::By)?;
            }
        }
    }
    Ok(())
}

/// The messages within a message that are its fields of these numbers, as they come.
struct Parts<'a> {
    rest: &'a [u8],
    wanted: &'static [u64],
}

/// How a field's content ends (Protocol Buffers, "Encoding").
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const AS_LONG_AS_IT_SAYS: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl<'a> Parts<'a> {
    fn of(message: &'a [u8], wanted: &'static [u64]) -> Self {
        Self { rest: message, wanted }
    }

    /// The next field, if there is one: its number, and its content if it has a length.
    fn field(&mut self) -> Option<(u64, Option<&'a [u8]>)> {
        let key = self.number()?;
        let content = match key & 7 {
            VARINT => self.number().map(|_| None)?,
            EIGHT_BYTES => self.bytes(8).map(|_| None)?,
            FOUR_BYTES => self.bytes(4).map(|_| None)?,
            AS_LONG_AS_IT_SAYS => {
                let length = self.number()?;
                Some(self.bytes(length)?)
            }
            _ => return None,
        };
        Some((key >> 3, content))
    }

    fn number(&mut self) -> Option<u64> {
        prost::decode_length_delimiter(&mut self.rest).ok().map(|number| number as u64)
    }

    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(count).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.field() {
                Some((number, Some(content))) if self.wanted.contains(&number) => {
                    return Some(Ok(content));
                }
                Some(_) => {}
                None => {
                    self.rest = &[];
                    return Some(Err(Malformed));
                }
            }
        }
        None
    }
}

struct Malformed;

impl<E> From<Malformed> for Stopped<E> {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests {
    use onewriter_proto::reapi::{
        Digest, Directory, DirectoryNode, FileNode, NodeProperties, SymlinkNode, Tree,
    };

    use super::*;

    fn file(n: usize) -> FileNode {
        let digest = Digest { hash: format!("{n:064x}"), size_bytes: n as i64 };
        FileNode { name: format!("f{n}"), digest: Some(digest), ..Default::default() }
    }

    /// With so many files in each of its directories, and all else that one can have.
    fn tree(directories: usize, files: usize) -> Tree {
        let directory = |n: usize| Directory {
            files: (n * files..(n + 1) * files).map(file).collect(),
            directories: vec![DirectoryNode { name: "d".into(), digest: file(1).digest }],
            symlinks: vec![SymlinkNode { name: "s".into(), ..Default::default() }],
            node_properties: Some(NodeProperties { unix_mode: Some(0o755), ..Default::default() }),
        };
        let mut directories = (0..directories).map(directory);
        Tree { root: directories.next(), children: directories.collect() }
    }

    #[test]
    fn the_files_of_a_tree_are_all_told_of() {
        let mut tree = tree(1000, 100);
        tree.children[0].files[0].digest = None;
        tree.children[0].files[1].is_executable = true;
        let directories = tree.root.iter().chain(&tree.children);
        let expected: Vec<_> = directories
            .flat_map(|directory| &directory.files)
            .filter_map(|file| file.digest.clone())
            .collect();
        let mut found = Vec::new();
        let told = each_file(&tree.encode_to_vec(), |digest| {
            found.push(digest.clone());
            Ok::<_, ()>(())
        });
        told.unwrap();
        assert_eq!(found.len(), 99_999);
        assert!(found == expected);
    }

    #[test]
    fn no_more_of_a_tree_is_looked_at_than_what_was_told_of() {
        let bytes = tree(2, 3).encode_to_vec();
        let cut = &bytes[..bytes.len() - 1];
        let mut told = 0;
        let stopped = each_file(cut, |_| {
            told += 1;
            if told == 2 { Err("enough") } else { Ok(()) }
        });
        assert!(matches!(stopped, Err(Stopped::By("enough"))), "{stopped:?}");
        assert!(matches!(each_file(cut, |_| Ok::<_, ()>(())), Err(Stopped::Malformed)));
    }

    #[test]
    fn what_is_no_message_is_malformed() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\x05abc",
            b"\x0b",
            b"\x09\x01\x02",
            b"\x0d\x01",
            b"\x08",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        ] {
            let told = each_file(bytes, |_| Ok::<_, ()>(()));
            assert!(matches!(told, Err(Stopped::Malformed)), "{bytes:?}");
        }
    }
}
