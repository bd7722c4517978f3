//! The names under which content is streamed; `google/bytestream/bytestream.proto` says what they
//! look like.

use onewriter_store::{Digest, Function};
use tonic::Status;

use super::bad;

/// The longest name, in bytes. Those of uploads that wait are kept.
const MAX: usize = 1024;

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) digest: Digest,
    /// By zstd.
    pub(super) compressed: bool,
}

/// What `name` names for whoever reads.
pub(super) fn to_read(name: &str) -> Result<Resource, Status> {
    let parts = split(name)?;
    let kind = |part: &&str| matches!(*part, "blobs" | "compressed-blobs");
    let start = parts.iter().position(kind).ok_or_else(|| nonsense(name))?;
    parse(&parts[start..]).ok_or_else(|| nonsense(name))
}

/// What `name` names for whoever writes.
pub(super) fn to_write(name: &str) -> Result<Resource, Status> {
    let parts = split(name)?;
    let start = parts.iter().position(|part| *part == "uploads").ok_or_else(|| nonsense(name))?;
    let found = parts.get(start + 1).filter(|uuid| !uuid.is_empty());
    found.and_then(|_| parse(&parts[start + 2..])).ok_or_else(|| nonsense(name))
}

/// The same in `instance`, unless the name says another one itself.
pub(super) fn within(instance: &str, name: String) -> String {
    let first = name.split('/').next();
    match instance.is_empty() || !matches!(first, Some("blobs" | "compressed-blobs" | "uploads")) {
        true => name,
        false => format!("{instance}/{name}"),
    }
}

fn split(name: &str) -> Result<Vec<&str>, Status> {
    match name.len() {
        0 => Err(bad("resource_name: the request has none")),
        1..=MAX => Ok(name.split('/').collect()),
        _ => Err(bad("resource_name: it is longer than 1,024 bytes")),
    }
}

fn parse(parts: &[&str]) -> Option<Resource> {
    let (compressed, parts) = match parts {
        ["blobs", rest @ ..] => (false, rest),
        ["compressed-blobs", "zstd", rest @ ..] => (true, rest),
        _ => return None,
    };
    let named = |function: &Function| parts.first() == Some(&function.name());
    let (function, parts) = match Function::ALL.iter().find(|function| named(function)) {
        Some(function) => (*function, &parts[1..]),
        None => (Function::Sha256, parts),
    };
    let [hash, size, ..] = parts else { return None };
    let is_number = !size.is_empty() && size.bytes().all(|digit| digit.is_ascii_digit());
    let size = size.parse().ok().filter(|_| is_number)?;
    Some(Resource { digest: Digest::parse(function, hash, size).ok()?, compressed })
}

fn nonsense(name: &str) -> Status {
    let shown: String = name.chars().take(200).collect();
    bad(format!(
        "resource_name: '{}' names no content; [uploads/UUID/]blobs/HASH/SIZE does",
        shown.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn resource(function: Function, compressed: bool) -> Resource {
        Resource { digest: Digest::parse(function, HASH, 3).unwrap(), compressed }
    }

    #[test]
    fn names_of_the_standard_are_understood() {
        let plain = resource(Function::Sha256, false);
        let blake3 = Resource { compressed: false, ..resource(Function::Blake3, false) };
        for prefix in ["", "main/", "a/b/c/"] {
            let read = |rest: &str| to_read(&format!("{prefix}{rest}")).unwrap();
            assert_eq!(read(&format!("blobs/{HASH}/3")), plain);
            assert_eq!(read(&format!("blobs/blake3/{HASH}/3")), blake3);
            let zstd = read(&format!("compressed-blobs/zstd/{HASH}/3"));
            assert_eq!(zstd, resource(Function::Sha256, true));
            let write = |rest: &str| to_write(&format!("{prefix}uploads/u-u/{rest}")).unwrap();
            assert_eq!(write(&format!("blobs/{HASH}/3")), plain);
            assert_eq!(write(&format!("blobs/{HASH}/3/some/file.c")), plain);
            let zstd = write(&format!("compressed-blobs/zstd/blake3/{HASH}/3"));
            assert_eq!(zstd, resource(Function::Blake3, true));
        }
    }

    #[test]
    fn an_instance_is_put_before_names_without_one() {
        for (instance, name, whole) in [
            ("", "blobs/x/3", "blobs/x/3"),
            ("main", "blobs/x/3", "main/blobs/x/3"),
            ("a/b", "uploads/u/blobs/x/3", "a/b/uploads/u/blobs/x/3"),
            ("main", "compressed-blobs/zstd/x/3", "main/compressed-blobs/zstd/x/3"),
            ("main", "other/blobs/x/3", "other/blobs/x/3"),
        ] {
            assert_eq!(within(instance, name.to_owned()), whole);
        }
    }

    #[test]
    fn other_names_are_refused() {
        let bad = [
            String::new(),
            "blobs".to_owned(),
            format!("blobs/{HASH}"),
            format!("blobs/{HASH}/-3"),
            format!("blobs/{HASH}/+3"),
            format!("blobs/{HASH}/3x"),
            format!("blobs/{HASH}/99999999999999999999"),
            format!("blobs/{}/3", &HASH[1..]),
            format!("blobs/../{HASH}/3"),
            format!("blobs/sha1/{HASH}/3"),
            format!("compressed-blobs/{HASH}/3"),
            format!("compressed-blobs/deflate/{HASH}/3"),
            format!("{}/blobs/{HASH}/3", "x".repeat(MAX)),
        ];
        for name in bad {
            assert!(to_read(&name).is_err(), "{name}");
            assert!(to_write(&format!("uploads/u/{name}")).is_err(), "{name}");
        }
        assert!(to_write(&format!("blobs/{HASH}/3")).is_err());
        assert!(to_write(&format!("uploads//blobs/{HASH}/3")).is_err());
        assert!(to_write("uploads").is_err());
    }
}
