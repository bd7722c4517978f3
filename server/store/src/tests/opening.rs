//! What the next daemon finds.

use std::time::{Duration, SystemTime};

use super::{PLENTY, Place, blocks, digest, put, read};
use crate::{ResultKey, disk, index::Space};

#[test]
fn content_is_found_again_and_what_was_arriving_is_cleared_away() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let kept = put(&store, b"kept");
    let mut upload = store.upload(digest(b"given up")).unwrap();
    upload.push(b"given").unwrap();
    // As a daemon does that is killed.
    std::mem::forget(upload);
    assert_eq!(place.incoming(), 1);

    let store = place.open(PLENTY);
    assert_eq!(read(&store, &kept).unwrap(), b"kept");
    assert_eq!((store.stats().files, store.stats().bytes), (1, blocks(1)));
    assert_eq!(place.incoming(), 0);
}

#[test]
fn a_daemon_that_lost_the_root_does_nothing_to_what_its_successor_receives() {
    let place = Place::new();
    let (lost, ours) = (place.open(PLENTY), digest(b"content"));
    let [dropped, finished] = [b"dropped", b"finish!"].map(|content| {
        let mut upload = lost.upload(digest(content)).unwrap();
        upload.push(content).unwrap();
        upload
    });
    let store = place.open(PLENTY);
    let mut uploads = [(); 2].map(|()| store.upload(ours).unwrap());
    uploads.iter_mut().for_each(|upload| upload.push(b"cont").unwrap());
    drop(dropped);
    assert!(finished.finish().is_err(), "what it received is gone");
    assert!(!place.file(&digest(b"finish!")).exists());
    for mut upload in uploads {
        upload.push(b"ent").unwrap();
        upload.finish().unwrap();
    }
    assert_eq!(read(&store, &ours).unwrap(), b"content");
}

#[test]
fn the_order_of_use_outlives_the_daemon() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let digests = [b"1", b"2", b"3"].map(|content| put(&store, content));
    for (digest, age) in digests.iter().zip([10, 30, 20]) {
        let used = SystemTime::now() - Duration::from_secs(age * 86_400);
        let file = std::fs::File::open(place.file(digest)).unwrap();
        file.set_modified(used).unwrap();
    }
    let store = place.open(blocks(2));
    assert!(store.contains(&digests[0]).unwrap());
    assert!(!store.contains(&digests[1]).unwrap());
    assert!(store.contains(&digests[2]).unwrap());
    let now = SystemTime::now() - Duration::from_secs(60);
    let modified = std::fs::metadata(place.file(&digests[0])).unwrap().modified().unwrap();
    assert!(modified > now, "a use is written down");
}

#[test]
fn what_was_truncated_is_not_served_but_can_be_put_there_again() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let content = put(&store, b"content");
    place.damage(&content, b"cont");
    assert!(!store.contains(&content).unwrap());
    assert!(read(&store, &content).is_none());
    put(&store, b"content");
    assert_eq!(read(&store, &content).unwrap(), b"content");
}

#[test]
fn what_was_there_before_the_machine_started_is_hashed_before_it_is_served() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let [sound, broken, asked_for] = [b"sound!!", b"broken!", b"asked4!"].map(|c| put(&store, c));
    // A power cut that kept the names and lost the content.
    place.damage(&broken, b"\0\0\0\0\0\0\0");
    place.damage(&asked_for, b"\0\0\0\0\0\0\0");
    assert!(store.contains(&broken).unwrap(), "its size is right, and nobody doubts it");

    let doubt = |digest| {
        let key = crate::store::key(digest);
        store.inner().index().get_mut(key).unwrap().doubted = true;
    };
    [&sound, &broken, &asked_for].into_iter().for_each(doubt);
    assert!(read(&store, &broken).is_none());
    assert!(!store.contains(&asked_for).unwrap());
    assert!(!place.file(&asked_for).exists());
    assert_eq!(read(&store, &sound).unwrap(), b"sound!!");
    let key = crate::store::key(&sound);
    assert!(!store.inner().index().get_mut(key).unwrap().doubted, "once is enough");
}

#[test]
fn who_finds_damage_late_leaves_alone_what_was_put_there_meanwhile() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let content = put(&store, b"content");
    place.damage(&content, b"\0\0\0\0\0\0\0");
    let key = crate::store::key(&content);
    store.inner().index().get_mut(key).unwrap().doubted = true;
    let (_, seen) = store.inner().use_now(key, content.size).unwrap();
    assert!(read(&store, &content).is_none(), "another one finds it first");
    assert!(!place.file(&content).exists());
    put(&store, b"content");
    store.inner().give_up(key, Some(seen));
    assert_eq!(read(&store, &content).unwrap(), b"content");
    // Uses make no other of it.
    let (_, seen) = store.inner().use_now(key, content.size).unwrap();
    assert!(store.contains(&content).unwrap());
    store.inner().give_up(key, Some(seen));
    assert!(!place.file(&content).exists() && store.stats().files == 0);
}

#[test]
fn what_this_start_of_the_machine_has_seen_is_not_doubted() {
    let place = Place::new();
    let digest = put(&place.open(PLENTY), b"content");
    let store = place.open(PLENTY);
    let found = store.inner().disk.list().unwrap();
    assert_eq!((found.len(), found[0].key.space), (1, Space::Sha256));
    assert!(found[0].changed <= disk::now() && disk::started() < disk::now());
    let key = crate::store::key(&digest);
    let doubted = store.inner().index().get_mut(key).unwrap().doubted;
    assert_eq!(doubted, found[0].changed <= disk::started());
}

#[test]
fn a_damaged_result_is_none() {
    let place = Place::new();
    let store = place.open(PLENTY);
    let key = ResultKey::new("", &digest(b"action"));
    store.set_result(key, b"result").unwrap();
    let found = store.inner().disk.list().unwrap();
    let hex = crate::digest::to_hex(&found[0].key.hash);
    let path = place.path().join("cas/results").join(&hex[..2]).join(hex);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    #[expect(clippy::disallowed_methods, reason = "damages a store, not a build tree")]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(store.result(key).unwrap(), None);
    assert!(!path.exists());
    assert_eq!(store.stats().bytes, 0);
}
