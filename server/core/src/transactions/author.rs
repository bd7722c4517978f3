//! Whose a transaction is, on record with its intent: so that what a later daemon completes is
//! journalled under its owner's name.

use onewriter_tree::code::{Reader, Writer};

use crate::{engine::Caller, locks::Owner};

/// The caller and the key of the transaction, empty where it has none, as bytes: numbers, then texts
/// with their lengths.
pub(super) fn encode(caller: &Caller, key: &str) -> Vec<u8> {
    let Owner { method, build, target, pid, uid, identity, address: _ } = &caller.owner;
    let mut out = Writer::default();
    out.u32(*pid);
    out.u32(*uid);
    let identity = identity.as_deref().unwrap_or_default();
    for text in [*method, build, target, &caller.directory, identity, key] {
        out.long(text.as_bytes());
    }
    out.into_bytes()
}

/// What [`encode`] wrote; of a record of another make, as much as can be read.
pub(super) fn decode(bytes: &[u8]) -> (Caller, String) {
    let mut input = Reader::new(bytes);
    let [pid, uid] = [input.u32(), input.u32()].map(Option::unwrap_or_default);
    let [method, build, target, directory] = [(); 4].map(|()| text(&mut input).unwrap_or_default());
    let method = super::method(&method);
    let identity = text(&mut input).filter(|name| !name.is_empty()).map(Into::into);
    let key = text(&mut input).unwrap_or_default();
    let owner = Owner { method, build, target, pid, uid, identity, address: None };
    (Caller { owner, directory, ..Caller::default() }, key)
}

fn text(input: &mut Reader<'_>) -> Option<String> {
    Some(String::from_utf8_lossy(input.long()?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_survives_the_way_to_the_record_and_back() {
        let owner = Owner {
            method: "batch",
            build: "b1".into(),
            target: "\0\u{e4}".into(),
            pid: 12,
            uid: 34,
            identity: Some("cert:c".into()),
            address: None,
        };
        let caller = Caller { owner, directory: "sub".into(), ..Caller::default() };
        let bytes = encode(&caller, "key");
        let expected = [
            &b"\x0c\0\0\0\x22\0\0\0\x05\0\0\0batch\x02\0\0\0b1\x03\0\0\0\0\xc3\xa4"[..],
            b"\x03\0\0\0sub\x06\0\0\0cert:c\x03\0\0\0key",
        ];
        assert_eq!(bytes, expected.concat(), "as earlier daemons wrote it");
        let (read, key) = decode(&bytes);
        assert_eq!((read.owner, read.directory), (caller.owner, caller.directory));
        assert_eq!(key, "key");
        for length in 0..bytes.len() {
            let _ = decode(&bytes[..length]);
        }
    }
}
