//! What only the client's own process can read: open files by the names that /dev and /proc have.

use crate::support::{Done, Root};

const PUBLISHES: &str = "
    set -e
    printf hello | onewriter publish /dev/stdin a
    printf fd > given; chmod 640 given; exec 3< given
    onewriter publish /dev/fd/3 b
    printf pipe | { exec 4<&0; onewriter cp /dev/fd/4 c; }
    printf 0 | onewriter install -m 700 /proc/self/fd/0 d
    onewriter publish -p /proc/self/cmdline e/f
";

#[test]
fn open_files_are_the_clients_own() {
    let root = Root::new();
    root.started();
    let socket = format!("unix:{}", root.at(".onewriter/daemon.sock").display());
    let inner = ["run", "--", "sh", "-c", PUBLISHES];
    let ways: [&dyn Fn() -> Done; 4] = [
        &|| root.sh(PUBLISHES),
        &|| root.client().direct().sh(PUBLISHES),
        &|| root.client().env("ONEWRITER_SERVER", &socket).sh(PUBLISHES),
        &|| root.run(inner),
    ];
    for way in ways {
        let done = way();
        done.ok();
        let content = |path: &str| root.read(path);
        assert_eq!(["a", "b", "c", "d"].map(content), ["hello", "fd", "pipe", "0"], "{done}");
        assert_eq!(root.read("e/f"), "onewriter\0publish\0-p\0/proc/self/cmdline\0e/f\0", "{done}");
        assert_eq!(root.sh("stat -c %a b d").ok(), "640\n700", "{done}");
        root.run("rm -r a b c d e").ok();
    }
}

#[test]
fn what_cannot_be_told_as_a_file_is_refused() {
    let root = Root::new();
    root.write("f", "x");
    for (args, code, reason) in [
        ("publish /proc/self/fd x", 1, "SOURCE"),
        ("cp f /proc/self/root x", 2, "USAGE"),
        ("publish /dev/null x", 1, "SOURCE"),
        ("publish /proc/self/nothing x", 1, "IO"),
        ("publish --move /proc/self/cmdline x", 2, "USAGE"),
        ("mv /dev/stdin x", 2, "USAGE"),
        ("cp -r /proc/self/cmdline x", 2, "USAGE"),
    ] {
        root.refuses(args, code, reason);
    }
    let listed = root.client().input("cp /dev/stdin x\n").run("batch");
    listed.exits(2);
    assert!(listed.stderr.contains("standard input is the list"), "{listed}");
}
