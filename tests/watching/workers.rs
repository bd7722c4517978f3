//! Who is told to be there.

use super::*;

#[test]
fn a_holder_is_seen_with_its_lease_and_a_command_with_its_transaction() {
    let root = Root::new();
    let none = root.run("workers --json").json();
    assert_eq!(none["running"], false);
    root.started();
    let holder = root.client().start(["lock", "d", "--", "sleep", "600"]);
    let runner = root.client().start(["run", "--target", "x", "--", "sleep", "600"]);
    let of = |pid: u32| move |worker: &&Value| worker["pid"] == pid;
    until("both are there", || {
        let all = workers(&root);
        let held = all.iter().find(of(holder.id())).is_some_and(|w| w["leases"][0]["path"] == "d");
        let command = |w: &Value| w["transactions"][0]["command"].to_string();
        held && all.iter().find(of(runner.id())).is_some_and(|w| command(w).contains("sleep"))
    });
    let text = root.run("workers");
    for part in [
        format!(" pid {}: 1 connection for ", holder.id()),
        "  holds   lease on 'd' exclusive (lock) for ".to_owned(),
        "  runs    run for target 'x' for ".to_owned(),
        "  asks    onewriter.v1.Leases/Hold for ".to_owned(),
    ] {
        assert!(text.ok().contains(&part), "{part}: {text}");
    }
    drop((holder, runner));
    until("nobody is but who asks", || workers(&root).len() == 1);
}
