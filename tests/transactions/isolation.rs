//! Where the kernel gives no view of its own, and where it gives one with limits.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
};

use rustix::process::geteuid;

use super::{client, is_there, nothing_is_left, script, words};
use crate::support::{Client, ONEWRITER, ONEWRITERD, Root, copy_program};

/// Starts what follows where no mount namespace can be made.
const REFUSED: [&str; 6] =
    ["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_mnt_namespaces; exec \"$@\"", "sh"];

#[test]
fn declared_outputs_are_kept_apart_by_the_command_itself() {
    let root = Root::new();
    root.write("dir/there", "");
    let options = "--isolation outputs -o dir/a -o new/b";
    let makes = "echo a > {1}; echo b > {2}; echo \"$ONEWRITER_OUTPUTS\" > $BESIDE/outputs
        test \"$ONEWRITER_OUTPUT\" = {1}; echo plain > c";
    let done = script(&root, options, &format!("{makes}; exit 3"));
    assert_eq!(done.code(), Some(3), "{done}");
    assert!(!is_there(root.at("dir/a")) && !is_there(root.at("new")));
    assert_eq!(root.read("c"), "plain\n", "what is not declared is written at once");
    script(&root, options, makes).ok();
    assert_eq!((root.read("dir/a"), root.read("new/b")), ("a\n".into(), "b\n".into()));
    assert!(is_there(root.at("dir/there")));
    let outputs = fs::read_to_string(root.outside("outputs")).unwrap();
    assert_eq!(outputs.lines().count(), 2);
    nothing_is_left(&root);
}

#[test]
fn in_an_overlay_outputs_have_their_names() {
    let root = Root::new();
    let makes =
        "test {} = a && test $ONEWRITER_OUTPUT = a && test $ONEWRITER_OUTPUTS = a && echo 1 > {}";
    script(&root, "--isolation overlay -o a", makes).ok();
    assert_eq!(root.read("a"), "1\n");
}

#[test]
fn where_the_kernel_refuses_declared_outputs_remain() {
    let root = Root::new();
    root.started();
    let run = |options: &str| {
        client(&root).under(REFUSED).run(words(options, "echo 1 > ${ONEWRITER_OUTPUT:-ran}"))
    };
    let done = run("-o a");
    assert!(done.succeeded() && done.stderr.contains("cannot make a namespace"), "{done}");
    assert_eq!(root.read("a"), "1\n");
    for options in ["--json", "--json --isolation overlay -o b"] {
        let done = run(options);
        done.failed(1, "NO_SANDBOX");
        assert!(done.stderr.contains("hint: declare"), "{done}");
    }
    assert!(!is_there(root.at("ran")) && !is_there(root.at("b")));
    nothing_is_left(&root);
}

/// A root of an ordinary user's, with programs that this user can reach.
fn of_nobody() -> Option<(Root, PathBuf)> {
    if !geteuid().is_root() {
        return None;
    }
    let root = Root::uninitialised("root");
    let beside = root.outside("");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o777)).unwrap();
    for program in [ONEWRITER, ONEWRITERD] {
        let name = PathBuf::from(program).file_name().unwrap().to_owned();
        copy_program(program, beside.join(name));
    }
    chown(root.path(), Some(65534), Some(65534)).unwrap();
    Some((root, beside.join("onewriter")))
}

fn as_nobody(root: &Root) -> Client<'_> {
    client(root).under("setpriv --reuid=65534 --regid=65534 --clear-groups")
}

#[test]
fn an_ordinary_user_has_transactions_too() {
    let Some((root, program)) = of_nobody() else { return };
    as_nobody(&root).start_program(&program, "init").done().ok();
    let makes = "echo 1 > a; mkdir d; echo 2 > d/b; id -u > d/u";
    as_nobody(&root).start_program(&program, words("", makes)).done().ok();
    assert_eq!((root.read("a"), root.read("d/u")), ("1\n".into(), "65534\n".into()));
    as_nobody(&root).start_program(&program, words("", "rm -r d; mv a z")).done().ok();
    assert!(!is_there(root.at("d")) && !is_there(root.at("a")) && is_there(root.at("z")));
    nothing_is_left(&root);
}

#[test]
fn files_of_others_are_named_when_a_users_command_fails_on_them() {
    let Some((root, program)) = of_nobody() else { return };
    as_nobody(&root).start_program(&program, "init").done().ok();
    chown(root.path(), Some(65534), Some(12_345)).unwrap();
    let done = as_nobody(&root).start_program(&program, words("", "exit 5")).done();
    assert_eq!(done.code(), Some(5), "{done}");
    assert!(done.stderr.contains("Value too large for defined data type"), "{done}");
}

#[test]
fn a_full_disk_leaves_nothing_half_done() {
    if !geteuid().is_root() {
        return;
    }
    let root = Root::uninitialised("root");
    let around = "mount -t tmpfs -o size=2m,mode=755 t \"$BESIDE/root\" && cd \"$BESIDE/root\" &&
        onewriter init > /dev/null && echo 1 > f && \"$@\"; code=$?
        onewriter stop; ls -A > \"$BESIDE/left\"; cat f > \"$BESIDE/f\"; exit $code";
    let fills = words("", "echo 2 > f; head -c 8m /dev/zero > big");
    let done = client(&root).under(["unshare", "-m", "sh", "-c", around, "sh"]).run(fills);
    assert!(done.code() == Some(1) && done.stderr.contains("No space left"), "{done}");
    assert_eq!(fs::read_to_string(root.outside("left")).unwrap(), ".onewriter\nf\n");
    assert_eq!(fs::read_to_string(root.outside("f")).unwrap(), "1\n");
}

#[test]
fn other_filesystems_in_the_root_are_seen_and_told_of() {
    if !geteuid().is_root() {
        return;
    }
    let root = Root::new();
    fs::create_dir(root.at("other")).unwrap();
    root.started();
    let around =
        "mount -t tmpfs t other && echo 1 > other/seen && \"$@\" && cp other/made \"$BESIDE/made\"";
    let makes = words("", "cat other/seen > a; echo 2 > other/made");
    let done = client(&root).under(["unshare", "-m", "sh", "-c", around, "sh"]).run(makes);
    assert!(done.succeeded() && done.stderr.contains("/other'"), "{done}");
    assert_eq!(root.read("a"), "1\n");
    assert_eq!(fs::read_to_string(root.outside("made")).unwrap(), "2\n");
}
