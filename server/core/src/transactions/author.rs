//! Whose a transaction is, on record with its intent: so that what a later daemon completes is
//! journalled under its owner's name.

use crate::{engine::Caller, locks::Owner};

/// The caller and the key of the transaction, empty where it has none, as bytes: numbers, then texts
/// with their lengths.
pub(super) fn encode(caller: &Caller, key: &str) -> Vec<u8> {
    let Owner { method, build, target, pid, uid, identity, address: _ } = &caller.owner;
    let mut bytes = [pid.to_le_bytes(), uid.to_le_bytes()].concat();
    let identity = identity.as_deref().unwrap_or_default();
    for text in [*method, build, target, &caller.directory, identity, key] {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// What [`encode`] wrote; of a record of another make, as much as can be read.
pub(super) fn decode(mut bytes: &[u8]) -> (Caller, String) {
    let [pid, uid] = [number(&mut bytes), number(&mut bytes)].map(Option::unwrap_or_default);
    let [method, build, target, directory] = [(); 4].map(|()| text(&mut bytes).unwrap_or_default());
    let method = super::method(&method);
    let identity = text(&mut bytes).filter(|name| !name.is_empty()).map(Into::into);
    let key = text(&mut bytes).unwrap_or_default();
    let owner = Owner { method, build, target, pid, uid, identity, address: None };
    (Caller { owner, directory, ..Caller::default() }, key)
}

fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number))
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = number(bytes)? as usize;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(String::from_utf8_lossy(text).into_owned())
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
        let (read, key) = decode(&bytes);
        assert_eq!((read.owner, read.directory), (caller.owner, caller.directory));
        assert_eq!(key, "key");
        for length in 0..bytes.len() {
            let _ = decode(&bytes[..length]);
        }
    }
}
