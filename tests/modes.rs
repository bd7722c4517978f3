//! Modes are those that mkdir(1), install(1) and cp(1) give under the caller's umask, whoever
//! started the daemon with whatever umask.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::support::{Root, shape};

/// What the coreutils do in one directory, onewriter does in another.
#[track_caller]
fn alike(root: &Root, umask: &str, commands: &str) {
    let script = |tool: &str, dir: &str| {
        let commands = commands.replace("OW ", tool);
        format!(
            "umask 022; mkdir {dir} && cd {dir}; umask 077; echo x >src; chmod 754 src; umask {umask}; set -e; {commands}"
        )
    };
    let name = commands.replace([' ', '/', ';'], "-");
    let (theirs, ours) = (format!("theirs-{umask}-{name}"), format!("ours-{umask}-{name}"));
    for done in [root.sh(&script("", &theirs)), root.sh(&script("onewriter ", &ours))] {
        assert!(done.succeeded(), "{done}");
    }
    assert_eq!(shape(&root.at(&ours)), shape(&root.at(&theirs)), "{commands} under {umask}");
    let direct = format!("direct-{umask}-{name}");
    let done = root.client().direct().sh(&script("onewriter ", &direct));
    assert!(done.succeeded(), "{done}");
    assert_eq!(
        shape(&root.at(&direct)),
        shape(&root.at(&theirs)),
        "{commands} under {umask}, directly"
    );
}

#[test]
fn modes_are_those_of_the_coreutils() {
    let root = Root::new();
    // The daemon's own umask must not matter.
    root.sh("umask 0777; onewriter mkdir first").ok();
    root.daemon();
    for umask in ["022", "027", "077", "000", "0277"] {
        for commands in [
            "OW mkdir -p d; OW mkdir -p d/e/f",
            "OW mkdir -m 700 d; OW mkdir -m u=rwx,go=rx e; OW mkdir -m 1777 f; OW mkdir -m 2755 g; OW mkdir -m g+w h",
            "OW mkdir -p -m 701 d/e/f",
            "mkdir -m 750 d; OW mkdir -p -m 777 d",
            "OW install src a; OW install -m 640 src b; OW install -m u=rw,go=r src c; OW install -m 4755 src d",
            "OW install -D src x/y/z; OW install -d i/j; OW install -d -m 2770 k/l",
            "mkdir -m 700 d; OW install -d -m 755 d; mkdir -m 700 e; OW install -d e",
            "install -m 600 src a; OW install -m 755 src a",
            "OW cp src a; install -m 600 /dev/null b; OW cp src b; OW cp -p src c",
            "mkdir -m 750 d; umask 077; cp src d/f; umask 022; OW cp -r d e; OW cp -rp d f; chmod 500 d; OW cp -r d g; chmod 700 d",
            "OW touch new",
            "OW mv src dst",
        ] {
            // A umask that takes away the owner's own rights stops an ordinary user's commands.
            if umask == "0277" && !rustix::process::geteuid().is_root() {
                continue;
            }
            alike(&root, umask, commands);
        }
    }
}

#[test]
fn symbolic_modes_are_those_of_mkdir() {
    let root = Root::new();
    let modes = "+t a+t o=t =t u+s ug+s g-s u=rwxs a=rwxs,g-s =s,+t +s,= g=u u=g,o-u o= = =u =rwx \
                 =X +x -x a-w -w u=rwx,go= a=,+X g=o-w";
    for umask in ["022", "077", "002"] {
        let script = |tool: &str, dir: &str| {
            format!(
                "umask 022; mkdir {dir}-{umask}; cd {dir}-{umask}; umask {umask}; set -e
                for mode in {modes}; do
                    {tool} -m $mode ./$mode; stat -c '%n %a' ./$mode; chmod 700 ./$mode
                done"
            )
        };
        let theirs = root.sh(&script("mkdir", "theirs"));
        assert_eq!(theirs.ok().lines().count(), modes.split_whitespace().count());
        let ours = root.sh(&script("onewriter mkdir", "ours"));
        assert_eq!(ours.ok(), theirs.ok(), "under {umask}");
        let direct = root.client().direct().sh(&script("onewriter mkdir", "direct"));
        assert_eq!(direct.ok(), theirs.ok(), "under {umask}, directly");
    }
}

#[test]
fn a_publish_keeps_the_mode_of_what_it_replaces() {
    let root = Root::new();
    root.sh("umask 027; echo x | onewriter publish f; onewriter publish f g; onewriter publish -p f d/e/h").ok();
    let mode = |path: &str| fs::metadata(root.at(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        [mode("f"), mode("g"), mode("d"), mode("d/e"), mode("d/e/h")],
        [0o640, 0o640, 0o750, 0o750, 0o640]
    );
    fs::set_permissions(root.at("g"), fs::Permissions::from_mode(0o755)).unwrap();
    root.sh("umask 077; echo y | onewriter publish g").ok();
    assert_eq!((mode("g"), &root.read("g")[..]), (0o755, "y\n"));
    root.sh("echo z | onewriter publish -m 600 g").ok();
    assert_eq!(mode("g"), 0o600);
}

#[test]
fn the_daemons_own_files_are_its_users_alone() {
    let root = Root::new();
    root.sh("umask 000; onewriter mkdir d").ok();
    for name in ["", "daemon.sock", "daemon.log", "lock", "start.lock"] {
        let mode = fs::metadata(root.at(".onewriter").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "'{name}' {mode:o}");
    }
}
