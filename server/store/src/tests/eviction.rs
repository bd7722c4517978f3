//! What goes when room is needed, and what stays.

use super::{Place, blocks, digest, put, read};
use crate::{ResultKey, StoreError};

#[test]
fn what_was_not_used_for_the_longest_time_goes() {
    let place = Place::new();
    let store = place.open(blocks(3));
    let [first, second, third] = [b"1", b"2", b"3"].map(|content| put(&store, content));
    // All of these are uses.
    assert!(store.contains(&first).unwrap());
    assert!(read(&store, &third).is_some());
    let fourth = put(&store, b"4");
    assert!(!store.contains(&second).unwrap());
    assert!(!place.file(&second).exists());
    for digest in [first, third, fourth] {
        assert!(store.contains(&digest).unwrap());
    }
    assert_eq!((store.stats().bytes, store.stats().evicted), (blocks(3), 1));
}

#[test]
fn what_somebody_reads_stays_and_the_store_says_that_it_is_full() {
    let place = Place::new();
    let store = place.open(blocks(2));
    let [first, second] = [b"1", b"2"].map(|content| put(&store, content));
    let reading = [store.get(&first).unwrap().unwrap(), store.get(&second).unwrap().unwrap()];
    let full = StoreError::Full { max: blocks(2) };
    assert_eq!(store.put(&digest(b"3"), b"3"), Err(full.clone()));
    assert_eq!(store.set_result(ResultKey::new("", &first), b"3"), Err(full));
    // The same content once more does not set it free.
    drop(reading);
    let reading = store.get(&first).unwrap().unwrap();
    put(&store, b"1");
    put(&store, b"4");
    assert!(store.contains(&first).unwrap());
    assert!(!store.contains(&second).unwrap());
    assert_eq!(reading.read(0, 1).unwrap(), b"1");
}

#[test]
fn what_arrives_counts_and_does_not_go() {
    let place = Place::new();
    let store = place.open(blocks(3));
    let old = put(&store, b"old");
    let content = vec![7; 2 * 4096 + 1];
    let mut upload = store.upload(digest(&content)).unwrap();
    upload.push(&content[..4096]).unwrap();
    assert!(store.contains(&old).unwrap());
    upload.push(&content[4096..]).unwrap();
    assert!(!store.contains(&old).unwrap());
    assert!(matches!(store.put(&digest(b"new"), b"new"), Err(StoreError::Full { .. })));
    upload.finish().unwrap();
    assert_eq!(read(&store, &digest(&content)).unwrap(), content);
}

#[test]
fn what_can_never_fit_is_refused_at_once() {
    let place = Place::new();
    let store = place.open(blocks(1));
    let kept = put(&store, b"kept");
    let content = vec![7; 4097];
    let refused = store.upload(digest(&content)).unwrap_err();
    assert_eq!(refused, StoreError::TooLarge { size: 4097, max: blocks(1) });
    assert!(store.contains(&kept).unwrap());
}

#[test]
fn threads_that_fill_read_and_evict_find_whole_content_or_none() {
    let place = Place::new();
    let store = place.open(blocks(8));
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..100_u32 {
                    let content = ((n * 7 + thread) % 16).to_le_bytes();
                    let digest = put(store, &content);
                    if let Some(found) = read(store, &digest) {
                        assert_eq!(found, content);
                    }
                }
            });
        }
    });
    assert!(store.stats().bytes <= blocks(8));
    assert_eq!(store.stats().bytes, blocks(store.stats().files));
    assert_eq!(place.incoming(), 0);
}
