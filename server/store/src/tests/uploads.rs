//! What is taken, and what is not.

use std::io::Write as _;

use super::{PLENTY, Place, blocks, digest, put, read};
use crate::{Digest, Function, ResultKey, StoreError};

#[test]
fn content_is_there_when_it_was_put_there_by_either_function() {
    let place = Place::new();
    let store = place.open(PLENTY);
    for function in Function::ALL {
        let digest = Digest::of(function, b"content");
        assert!(!store.contains(&digest).unwrap());
        assert!(store.get(&digest).unwrap().is_none());
        store.put(&digest, b"content").unwrap();
        assert!(store.contains(&digest).unwrap());
        assert_eq!(read(&store, &digest).unwrap(), b"content");
    }
    assert_eq!(store.stats().files, 2);
}

#[test]
fn nothing_at_all_is_always_there() {
    let place = Place::new();
    let store = place.open(PLENTY);
    for function in Function::ALL {
        let nothing = Digest::of(function, b"");
        assert!(store.contains(&nothing).unwrap());
        store.put(&nothing, b"").unwrap();
        assert_eq!(read(&store, &nothing).unwrap(), b"");
    }
    assert_eq!((store.stats().files, store.stats().bytes, place.incoming()), (0, 0, 0));
}

#[test]
fn a_part_is_what_was_asked_for_of_what_there_is() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let blob = store.get(&put(&store, b"0123456789")).unwrap().unwrap();
    assert_eq!(blob.size(), 10);
    assert_eq!(blob.read(3, 4).unwrap(), b"3456");
    assert_eq!(blob.read(8, 4).unwrap(), b"89");
    assert_eq!(blob.read(10, 4).unwrap(), b"");
    assert_eq!(blob.read(99, 4).unwrap(), b"");
}

#[test]
fn what_is_not_what_was_announced_is_not_kept() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let announced = digest(b"content");
    let other = store.put(&announced, b"CONTENT");
    assert_eq!(other, Err(StoreError::Mismatch { announced, found: digest(b"CONTENT") }));
    let less = store.put(&announced, b"conten");
    assert_eq!(less, Err(StoreError::Mismatch { announced, found: digest(b"conten") }));
    assert_eq!(store.put(&announced, b"contents"), Err(StoreError::TooLong { announced }));
    // A right digest with a wrong size.
    let short = Digest { size: 6, ..announced };
    assert!(store.put(&short, b"conten").is_err());
    assert!(!store.contains(&announced).unwrap());
    assert_eq!((store.stats().files, store.stats().bytes, place.incoming()), (0, 0, 0));
}

#[test]
fn a_digest_with_another_size_is_another_content() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let digest = put(&store, b"content");
    let other = Digest { size: 8, ..digest };
    assert!(!store.contains(&other).unwrap());
    assert!(store.get(&other).unwrap().is_none());
    assert!(store.contains(&digest).unwrap());
}

#[test]
fn two_uploads_of_one_content_both_succeed_and_leave_one_file() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let digest = digest(b"content");
    let mut uploads = [store.upload(digest).unwrap(), store.upload(digest).unwrap()];
    for upload in &mut uploads {
        upload.write_all(b"con").unwrap();
    }
    for mut upload in uploads {
        upload.push(b"tent").unwrap();
        assert_eq!(upload.written(), 7);
        upload.finish().unwrap();
    }
    assert_eq!(read(&store, &digest).unwrap(), b"content");
    assert_eq!((store.stats().files, store.stats().bytes), (1, blocks(1)));
    assert_eq!(place.incoming(), 0);
}

#[test]
fn an_upload_that_is_given_up_leaves_nothing() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let mut upload = store.upload(digest(b"content")).unwrap();
    upload.push(b"cont").unwrap();
    assert_eq!((place.incoming(), store.stats().bytes), (1, blocks(1)));
    drop(upload);
    assert_eq!((place.incoming(), store.stats().bytes), (0, 0));
}

#[test]
fn a_directory_that_is_gone_is_an_error_with_a_name() {
    let place = Place::new();
    let store = place.open(PLENTY);
    std::process::Command::new("rm").arg("-r").arg(place.path().join("cas")).status().unwrap();
    let refused = store.put(&digest(b"content"), b"content").unwrap_err();
    assert!(matches!(refused, StoreError::Io { errno: rustix::io::Errno::NOENT, .. }));
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn results_are_kept_for_each_instance_and_replaced() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let action = digest(b"action");
    let (here, there) = (ResultKey::new("here", &action), ResultKey::new("there", &action));
    assert_eq!(store.result(here).unwrap(), None);
    store.set_result(here, b"first").unwrap();
    store.set_result(here, b"second").unwrap();
    assert_eq!(store.result(here).unwrap().unwrap(), b"second");
    assert_eq!(store.result(there).unwrap(), None);
    assert_eq!((store.stats().files, store.stats().bytes), (1, blocks(1)));
}
