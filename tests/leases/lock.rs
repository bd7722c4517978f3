//! Who has a lease, who waits for it, and how that ends.

use super::*;

#[test]
fn a_lease_is_for_one_command_and_the_others_come_in_order() {
    let root = Root::new();
    root.started();
    let log = root.outside("log");
    let say = |n: usize| format!("echo {n} >> {}", log.display());
    let first = Holder::waiting(&root, "first", "lock d", &say(0));
    first.runs();
    let others: Vec<_> = (1..6)
        .map(|n| {
            let holder = Holder::waiting(&root, &format!("h{n}"), "lock d", &say(n));
            holder.let_go();
            until_waiting(&root, n);
            holder
        })
        .collect();
    assert!(others.iter().all(|other| !other.has_begun()));
    first.ends().ok();
    for other in others {
        other.client.done().ok();
    }
    assert_eq!(fs::read_to_string(log).unwrap(), "0\n1\n2\n3\n4\n5\n");
    assert!(leases(&root).is_empty());
}

#[test]
fn mutations_of_others_wait_and_those_of_the_command_do_not() {
    let root = Root::new();
    let holder = Holder::waiting(&root, "holder", "lock d", "onewriter mkdir -p d/own");
    holder.runs();
    let stranger = root.client().start("mkdir -p d/x");
    until_waiting(&root, 1);
    root.run("mkdir -p beside").ok();
    assert!(!root.at("d").exists());
    holder.ends().ok();
    stranger.done().ok();
    assert!(root.at("d/own").is_dir() && root.at("d/x").is_dir());
}

#[test]
fn a_transaction_waits_for_leases_only_where_it_changes_something() {
    let root = Root::new();
    root.run("mkdir -p d/sub e").ok();
    let one = Holder::waiting(&root, "one", "lock d/sub", "onewriter run -- touch d/sub/own");
    one.runs();
    root.run("run --timeout 5 -- touch e/f d/f").ok();
    // Each under its own lease: nobody is in the other's way.
    let two = Holder::waiting(&root, "two", "lock e", "onewriter run -- touch e/own");
    two.runs();
    two.ends().ok();
    let stranger = root.client().start("run -- touch d/sub/f");
    until_waiting(&root, 1);
    one.ends().ok();
    stranger.done().ok();
    assert!(["d/sub/own", "d/sub/f", "d/f", "e/f", "e/own"].iter().all(|f| root.at(f).exists()));
}

#[test]
fn shared_leases_are_held_together() {
    let root = Root::new();
    let one = Holder::start(&root, "one", "lock --shared d");
    let two = Holder::start(&root, "two", "lock -s d");
    let alone = Holder::waiting(&root, "alone", "lock d", "");
    until_waiting(&root, 1);
    let mutation = root.client().start("mkdir -p d/x");
    until_waiting(&root, 2);
    one.ends().ok();
    two.ends().ok();
    alone.runs();
    alone.ends().ok();
    mutation.done().ok();
}

#[test]
fn names_are_no_paths() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock --name d");
    root.run("mkdir -p d/x").ok();
    root.run("lock d -- true").ok();
    root.run("lock --timeout 0.1 --name d -- true").exits(5);
    holder.ends().ok();
    root.run("lock --name d -- true").ok();
    root.run("lock --name a/b -- true").exits(2);
}

#[test]
fn status_shows_who_holds_and_who_waits() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock --target t1 d");
    let waiter = Holder::waiting(&root, "waiter", "lock --target t2 --shared d", "");
    until_waiting(&root, 1);
    let [lease] = &leases(&root)[..] else { panic!("not one lease") };
    assert_eq!(lease["path"], "d");
    let party = |of: &str| lease[of][0].clone();
    let (held, waits) = (party("holders"), party("waiters"));
    assert_eq!(held["pid"], holder.client.id());
    assert_eq!((&held["target"], &held["method"]), (&"t1".into(), &"lock".into()));
    assert_eq!(held["token"].to_string(), holder.tokens());
    assert_eq!(waits["pid"], waiter.client.id());
    assert_eq!((&waits["exclusive"], waits.get("token")), (&false.into(), None));
    let done = root.run("status");
    let text = done.text();
    let held = format!("  held    exclusive by pid {} (lock for target 't1')", held["pid"]);
    let waits = format!("  waiting shared by pid {} (lock for target 't2')", waits["pid"]);
    assert!(text.contains("\nlease on 'd'\n"), "{text}");
    assert!(text.contains(&held) && text.contains(&waits), "{text}");
    holder.ends().ok();
    waiter.ends().ok();
}

#[test]
fn a_wait_that_ends_names_the_holder() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock d");
    for verb in ["lock --timeout 0.2 d/x -- true", "mkdir -p --timeout 0.2 d/x"] {
        let late = root.run(verb);
        late.exits(5);
        let named = format!("'d' is leased by pid {} (lock)", holder.client.id());
        assert!(late.stderr.contains(&named), "{late}");
    }
    assert_eq!(waiters(&root), 0);
    holder.ends().ok();
}

#[test]
fn it_exits_as_its_command_does() {
    let root = Root::new();
    for code in [0, 1, 7, 255] {
        let done = root.client().run(["lock", "d", "--", "sh", "-c", &format!("exit {code}")]);
        assert_eq!((done.code(), &*done.stderr), (Some(code), ""), "{done}");
    }
    use std::os::unix::process::ExitStatusExt as _;
    let killed = root.client().run(["lock", "d", "--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.status.signal(), Some(15), "{killed}");
    root.run("lock d -- no-such-program").exits(127);
    root.write("plain", "text");
    root.run("lock d -- ./plain").exits(126);
    root.run("lock d").exits(2);
    root.run("lock --ttl 0 d -- true").exits(2);
    root.run("lock ../x -- true").exits(1);
    root.client().direct().run("lock d -- true").exits(4);
    let printed = root.client().run(["lock", "d", "--", "echo", "to", "stdout"]);
    assert_eq!(printed.ok(), "to stdout");
    assert!(leases(&root).is_empty());
}

#[test]
fn nested_leases_hand_on_all_their_tokens() {
    let root = Root::new();
    let script = "onewriter lock d/x -- onewriter lock --name n -- sh -c 'echo $ONEWRITER_LEASE; \
                  onewriter mkdir -p d/x/y'";
    let done = root.client().run(["lock", "d", "--", "sh", "-c", script]);
    let tokens: Vec<u64> = done.ok().split(',').map(|token| token.parse().unwrap()).collect();
    assert_eq!(tokens.len(), 3);
    assert!(tokens.is_sorted() && root.at("d/x/y").is_dir());
}

#[test]
fn a_circle_is_refused_once_and_named() {
    let root = Root::new();
    root.started();
    let inner = |other: &str| format!("onewriter --json lock {other} -- true");
    let one = Holder::waiting(&root, "one", "lock a", &inner("b"));
    one.runs();
    let two = Holder::waiting(&root, "two", "lock b", &inner("a"));
    two.runs();
    let (holder_a, holder_b) = (one.client.id(), two.client.id());
    one.let_go();
    until_waiting(&root, 1);
    let refused = two.ends();
    assert_eq!(refused.code(), Some(1), "{refused}");
    assert_eq!(refused.json()["error"]["reason"], "DEADLOCK");
    let named = format!("'a', which pid {holder_a} (lock) holds; under that lease pid ");
    let also = format!("waits for 'b', which pid {holder_b} (lock) holds");
    assert!(refused.stderr.contains(&named) && refused.stderr.contains(&also), "{refused}");
    let done = one.client.done();
    assert!(done.succeeded(), "{done}");
}

#[test]
fn many_that_count_in_one_file_lose_nothing() {
    let root = Root::new();
    root.started();
    root.write("count", "0");
    let add = "n=$(cat count); echo $((n + 1)) | onewriter publish count";
    let start = |_| root.client().start(["lock", "count", "--", "sh", "-c", add]);
    for client in (0..24).map(start).collect::<Vec<_>>() {
        client.done().ok();
    }
    assert_eq!(root.read("count").trim(), "24");
}
