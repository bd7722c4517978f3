//! Who may own a root, and what those say who do not.

use std::fs;

use super::Cluster;
use crate::support::{ONEWRITERD, until};

#[test]
fn clients_find_the_owner_by_the_roots_name_or_by_any_member() {
    let Some(cluster) = Cluster::new(2) else { return };
    let owner = cluster.owner();
    cluster.publish("d/a", "by name").ok();
    assert_eq!(cluster.root.read("d/a"), "by name");
    // Sent on by one that does not own it.
    let standby = cluster.address(1 - owner);
    cluster.client_of(&standby).input("by a member").run("publish d/b").ok();
    assert_eq!(cluster.run("cat d/b").ok(), "by a member");
    // On the owner's own machine, by its socket.
    cluster.root.run("mkdir here").ok();
    assert!(cluster.root.at("here").is_dir());
    // Who waits says so to whoever asks for its health, and sends everybody else on.
    let health = |member| crate::support::health(&cluster.address(member));
    assert_eq!((health(owner).as_str(), health(1 - owner).as_str()), ("SERVING", "NOT_SERVING"));
    // What makes a difference the second time.
    cluster.run("mkdir --new d/new").ok();
    cluster.run("mv d/a d/c").ok();
    cluster.run("ln -s c d/link").ok();
    cluster.run("rm d/b d/link").ok();
    cluster.run("rm d/b").exits(1);
    assert!(!cluster.run("log").ok().is_empty());
    assert_eq!(fs::read_dir(cluster.root.at(".onewriter/epoch")).expect("epochs").count(), 1);
}

#[test]
fn nobody_is_found_where_there_is_nobody_and_the_cure_is_named() {
    let Some(cluster) = Cluster::empty() else { return };
    let of = |server: &str| cluster.client_of(server).env("ONEWRITER_TIMEOUT", "0.3");
    of(&cluster.url()).json("mkdir d").failed(4, "UNREACHABLE");
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nowhere.local_addr().expect("an address");
    drop(nowhere);
    of(&format!("etcd://{address}/tree")).json("mkdir d").failed(4, "UNREACHABLE");
    for server in ["etcd://host:1", "etcd://host/tree", "etcd://host:1/a/b"] {
        of(server).json("mkdir d").failed(2, "USAGE");
    }
}

#[test]
fn a_root_has_members_or_one_daemon_and_never_both() {
    let Some(cluster) = Cluster::new(1) else { return };
    let root = &cluster.root;
    let plain = || {
        let args = vec!["--root".into(), root.path().into()];
        root.client().start_program(ONEWRITERD, args).done()
    };
    assert!(plain().stderr.contains("owns this build root"), "a member holds it");
    cluster.kill(0);
    let refused = plain();
    refused.exits(1);
    assert!(refused.stderr.contains("--cluster and --name tree"), "{refused}");
    // Nor by another name.
    let named = |name: &str| {
        let etcd = format!("etcd://{}", cluster.etcd.address);
        let args = ["--cluster", &etcd, "--name", name, "--listen", "127.0.0.1:0"];
        let rest = ["--insecure-loopback", "--allow", "*", "--root"];
        let mut args: Vec<_> = args.iter().chain(&rest).map(Into::into).collect();
        args.push(root.path().into());
        root.client().start_program(ONEWRITERD, args)
    };
    let other = named("other").done();
    other.exits(1);
    assert!(other.stderr.contains("is called 'tree'"), "{other}");
    // Where there is one daemon, there is no member.
    let epoch = root.at(".onewriter/epoch");
    fs::remove_dir_all(epoch).expect("the cluster is no more");
    root.started();
    let member = named("tree").done();
    member.exits(1);
    assert!(member.stderr.contains("another daemon"), "{member}");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let root = crate::support::Root::new();
    for (args, told) in [
        ("--cluster etcd://h:1 --name n", "`cluster` needs `listen`"),
        ("--cluster etcd://h:1 --listen 127.0.0.1:0", "`cluster` needs `name`"),
        ("--cluster https://h:1 --name n", "`cluster` is etcd://"),
        ("--cluster etcd://h --name n", "`cluster` is etcd://"),
        ("--name n", "need `cluster`"),
        ("--cluster etcd://h:1 --name n --listen 127.0.0.1:0 --state /tmp", "with `state`"),
        ("--cluster etcd://h:1 --name n --listen 127.0.0.1:0 --cluster-ttl 0", "1 to 600"),
        ("--cluster etcd://h:1 --name n --listen 127.0.0.1:0 --advertise h:1", "`advertise` is"),
        ("--cluster etcd://h:1 --name n --listen 127.0.0.1:0 --replace", "`--replace`"),
    ] {
        let args = format!("--check-config --insecure-loopback --allow * {args} --root");
        let mut args: Vec<std::ffi::OsString> = args.split(' ').map(Into::into).collect();
        args.push(root.path().into());
        let done = root.client().start_program(ONEWRITERD, args).done();
        done.exits(1);
        assert!(done.stderr.contains(told), "{told}: {done}");
    }
}

#[test]
fn a_daemon_waits_for_an_etcd_that_is_down_or_does_not_answer() {
    let Some(cluster) = Cluster::empty() else { return };
    let way = super::Way::to(&cluster.etcd);
    way.cut();
    let member = cluster.join_by(way, &[]);
    cluster.says(member, "etcd cannot say who owns the root");
    let direct = || {
        let client = cluster.client_of(&cluster.address(member));
        client.env("ONEWRITER_TIMEOUT", "0.3").json("mkdir d")
    };
    direct().failed(4, "NOT_OWNER");
    // Connections come about now, and nothing else.
    cluster.members.borrow()[member].way.stall();
    direct().failed(4, "NOT_OWNER");
    cluster.members.borrow()[member].way.heal();
    assert_eq!(cluster.owner(), member);
    cluster.run("mkdir d").ok();
    // Later, too: it stops in time, and begins again by itself.
    for cut in [true, false] {
        let refused = || direct().json()["error"]["reason"] == "NOT_OWNER";
        {
            let way = &cluster.members.borrow()[member].way;
            if cut { way.cut() } else { way.stall() }
        }
        until("it stops", refused);
        cluster.members.borrow()[member].way.heal();
        cluster.run("mkdir d/e").ok();
    }
}
