//! In an overlay over a root, as root and as somebody else.

use std::{fs, os::unix::fs::FileTypeExt as _};

use rustix::process::geteuid;

use crate::{
    support::{NOBODY, Tree, User, noted_process, users},
    wrapper::{NOT_STARTED, ROOT},
};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("changes_go_to_the_upper_directory", changes_go_to_the_upper_directory),
    ("a_command_is_who_and_where_it_was", a_command_is_who_and_where_it_was),
    ("a_walk_of_the_root_ends_and_finds_no_state", a_walk_of_the_root_ends),
    ("nobody_else_sees_the_overlay", nobody_else_sees_the_overlay),
    ("a_mount_below_the_root_stays_visible", a_mount_below_the_root_stays_visible),
    ("a_refused_sandbox_says_which_step", a_refused_sandbox_says_which_step),
    ("files_of_others_can_be_changed_by_root_alone", files_of_others),
    ("descriptors_are_as_without", descriptors_are_as_without),
];

fn each(test: impl Fn(&Tree)) {
    users().iter().for_each(|user| test(&Tree::new(*user)));
}

#[track_caller]
fn succeeds(tree: &Tree, script: &str) {
    tree.sandboxed(script).reports("Ended { ending: Exit(0), background: false }");
}

fn changes_go_to_the_upper_directory() {
    each(|tree| {
        let script = "set -e
            echo new > file; rm sub/dir/file; mkdir made; echo x > made/x
            ln made/x made/y; mkfifo made/p; mv made/y made/z; test $(cat file) = new; ! test -e sub/dir/file";
        succeeds(tree, script);
        assert_eq!(fs::read_to_string(tree.root().join("file")).unwrap(), "old");
        assert_eq!(fs::read_to_string(tree.root().join("sub/dir/file")).unwrap(), "old");
        assert!(!tree.root().join("made").exists());
        let upper = tree.upper();
        assert_eq!(fs::read_to_string(upper.join("file")).unwrap(), "new\n");
        let gone = fs::symlink_metadata(upper.join("sub/dir/file")).unwrap();
        assert!(gone.file_type().is_char_device());
        assert_eq!(fs::read_to_string(upper.join("made/z")).unwrap(), "x\n");
    });
}

fn a_command_is_who_and_where_it_was() {
    each(|tree| {
        let mut command = tree.wrapper(&[]);
        let note = "echo $(id -u) $(id -g) $(/bin/pwd) $WRAPPED > $BESIDE/note; echo x > here";
        command.env(ROOT, tree.root()).args(["sh", "-c", note]);
        command.current_dir(tree.root().join("sub/dir"));
        tree.start(command).reports("Ended { ending: Exit(0), background: false }");
        let stand = tree.root().join("sub/dir");
        let note = tree.noted("note");
        let words: Vec<&str> = note.split_whitespace().collect();
        assert_eq!(words[2..], [stand.to_str().unwrap(), "yes"]);
        assert!(tree.upper().join("sub/dir/here").exists() && !stand.join("here").exists());
        // From beside the root, which it sees all the same.
        let mut command = tree.wrapper(&[]);
        command.env(ROOT, tree.root()).args(["sh", "-c", "/bin/pwd > note; echo x > root/there"]);
        let fresh =
            Tree::new(if words[0] == NOBODY.to_string() { User::Nobody } else { User::Own });
        command.env(ROOT, fresh.root()).current_dir(fresh.beside(""));
        tree.start(command).reports("Ended { ending: Exit(0), background: false }");
        assert!(fresh.upper().join("there").exists());
        assert_eq!(
            fresh.noted("note").trim_end(),
            fresh.beside("").to_str().unwrap().trim_end_matches('/')
        );
    });
}

fn a_walk_of_the_root_ends() {
    each(|tree| {
        succeeds(
            tree,
            "find . | sort > $BESIDE/note && ! test -e .onewriter && ! ls .onewriter 2> /dev/null",
        );
        assert_eq!(tree.noted("note"), ".\n./file\n./sub\n./sub/dir\n./sub/dir/file\n");
    });
}

fn nobody_else_sees_the_overlay() {
    each(|tree| {
        let script = "mkfifo $BESIDE/go; grep overlay /proc/self/mountinfo > $BESIDE/mounts
            echo $$ > $BESIDE/ready; read x < $BESIDE/go";
        let wrapper = tree.sandboxed(script);
        let command = noted_process(tree, "ready");
        let mounts = |id: rustix::process::Pid| {
            fs::read_to_string(format!("/proc/{}/mountinfo", id.as_raw_nonzero())).unwrap()
        };
        let root = tree.root();
        let root = root.to_str().unwrap();
        assert!(mounts(command).contains(root));
        assert!(!mounts(wrapper.id()).contains(root));
        assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(root));
        assert!(tree.noted("mounts").contains("volatile"), "{}", tree.noted("mounts"));
        fs::write(tree.beside("go"), "\n").unwrap();
        wrapper.reports("Ended { ending: Exit(0), background: false }");
    });
}

fn a_mount_below_the_root_stays_visible() {
    if !geteuid().is_root() {
        return;
    }
    each(|tree| {
        // All shared, as systemd has it: what the sandbox mounts must not spread.
        let around = "
            mount -t tmpfs -o mode=777 t \"$BESIDE/root/sub/dir\" && mount --make-rshared / &&
            echo inner > \"$BESIDE/root/sub/dir/inner\" && \"$@\"; code=$?
            cp \"$BESIDE/root/sub/dir/made\" $BESIDE/kept 2> /dev/null
            cat /proc/self/mountinfo > $BESIDE/outside; exit $code";
        let mut command = tree.wrapper(&["unshare", "-m", "sh", "-c", around, "sh"]);
        let script = "cat sub/dir/inner > $BESIDE/note && echo x > sub/dir/made && echo y > sub/y";
        command.env(ROOT, tree.root()).args(["sh", "-c", script]);
        let report = tree.start(command).done().1;
        if tree.user == User::Nobody {
            assert!(report.contains("with other mounts in it"), "{report}");
            return;
        }
        assert_eq!(report, "Ended { ending: Exit(0), background: false }");
        assert_eq!(tree.noted("note"), "inner\n");
        assert_eq!(tree.noted("kept"), "x\n", "a change there is made at once");
        assert!(tree.upper().join("sub/y").exists());
        assert!(!tree.noted("outside").contains(" overlay "), "{}", tree.noted("outside"));
    });
}

fn a_refused_sandbox_says_which_step() {
    each(|tree| {
        fs::remove_dir_all(tree.upper()).unwrap();
        let (status, report) = tree.sandboxed("echo x > $BESIDE/ran").done();
        assert_eq!(status.code(), Some(NOT_STARTED));
        assert!(report.contains("mount an overlay"), "{report}");
        assert!(!tree.beside("ran").exists());
    });
    let tree = Tree::new(User::Own);
    let around = "echo 0 > /proc/sys/user/max_mnt_namespaces; exec \"$@\"";
    let mut command = tree.wrapper(&["unshare", "-Ur", "sh", "-c", around, "sh"]);
    command.env(ROOT, tree.root()).args(["sh", "-c", "echo x > $BESIDE/ran"]);
    let (status, report) = tree.start(command).done();
    assert_eq!(status.code(), Some(NOT_STARTED));
    assert!(report.contains("make a namespace"), "{report}");
    assert!(!tree.beside("ran").exists());
}

fn files_of_others() {
    if !geteuid().is_root() {
        return;
    }
    for (user, owner, code) in [(User::Own, NOBODY, 0), (User::Nobody, 12_345, 1)] {
        let tree = Tree::new(user);
        tree.owned_by("sub/dir/file", owner);
        fs::set_permissions(
            tree.root().join("sub/dir/file"),
            std::os::unix::fs::PermissionsExt::from_mode(0o666),
        )
        .unwrap();
        let (status, _) = tree.sandboxed("LC_ALL=C; export LC_ALL; (echo x > sub/dir/file) 2> $BESIDE/error || exit 1; stat -c %u sub/dir/file > $BESIDE/owner").done();
        assert_eq!(status.code(), Some(code), "{user:?}");
        if code == 0 {
            assert_eq!(tree.noted("owner").trim(), owner.to_string());
        } else {
            assert!(!tree.noted("error").is_empty());
        }
    }
}

fn descriptors_are_as_without() {
    each(|tree| {
        succeeds(
            tree,
            "ls /proc/self/fd > $BESIDE/with; grep ^SigBlk /proc/self/status >> $BESIDE/with",
        );
        tree.script(
            "ls /proc/self/fd > $BESIDE/without; grep ^SigBlk /proc/self/status >> $BESIDE/without",
        )
        .reports("Ended { ending: Exit(0), background: false }");
        assert_eq!(tree.noted("with"), tree.noted("without"));
    });
}
