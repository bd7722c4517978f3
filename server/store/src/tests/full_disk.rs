//! A disk that is full.

use std::process::Command;

use rustix::io::Errno;

use super::{PLENTY, Place, digest, put, read};
use crate::{ResultKey, StoreError};

const INSIDE: &str = "ONEWRITER_TEST_NAMESPACE";

#[test]
fn a_full_disk_keeps_nothing_half_and_says_so() {
    if std::env::var_os(INSIDE).is_none() {
        return in_own_namespace("tests::full_disk::a_full_disk_keeps_nothing_half_and_says_so");
    }
    let place = Place::new();
    let mount = ["-t", "tmpfs", "-o", "size=256k", "none"];
    assert!(Command::new("mount").args(mount).arg(place.path()).status().unwrap().success());
    let store = place.open(PLENTY);
    let kept = put(&store, b"kept");
    let large = vec![7; 300 << 10];
    let refused = store.put(&digest(&large), &large).unwrap_err();
    assert!(matches!(refused, StoreError::Io { errno: Errno::NOSPC, .. }), "{refused}");
    assert!(store.set_result(ResultKey::new("", &kept), &large).is_err());
    assert!(!store.contains(&digest(&large)).unwrap());
    assert_eq!((store.stats().files, place.incoming()), (1, 0));
    assert_eq!(read(&store, &kept).unwrap(), b"kept");
    put(&store, &large[..100 << 10]);
}

/// Runs this program's test of that name where anybody may mount.
fn in_own_namespace(test: &str) {
    let unshare = ["--user", "--map-root-user", "--mount"];
    let may = Command::new("unshare").args(unshare).arg("true").output();
    if !may.is_ok_and(|done| done.status.success()) {
        // As in `.ci/run`, where nothing is to seem tested that is not.
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no namespace is to be had");
        eprintln!("not tested: no user and mount namespace is to be had here");
        return;
    }
    let this = std::env::current_exe().unwrap();
    let run = ["--exact", test, "--nocapture"];
    let mut command = Command::new("unshare");
    let done = command.args(unshare).arg(this).args(run).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}
