//! Several hosts on one machine: network namespaces with links between them that can be cut.
//!
//! A namespace lives as long as a process in it, which ends with the test, however that ends. Nothing
//! of it has a name outside, and the machine's own network is not touched.

use std::{
    io::Read as _,
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::support::untested;

/// The server's address, on all links.
pub(super) const SERVER: &str = "10.99.0.1";

/// A server, and machines each of which has a link to it.
pub(super) struct Hosts {
    server: Host,
    workers: Vec<Host>,
}

/// A network namespace.
struct Host {
    holder: Child,
    _stdin: ChildStdin,
}

/// What a link does to what is sent over it.
#[derive(Clone, Copy)]
pub(super) enum Link {
    Good,
    /// Of a hundred packets so many are lost, in each direction; the rest goes slowly.
    Lossy(u32),
}

impl Hosts {
    /// A server, and a machine at the end of each link; `None`, and a line that says so, where that
    /// takes privileges that are not there.
    pub(super) fn new(links: &[Link]) -> Option<Self> {
        let tried = Command::new("unshare").args(["--net", "true"]).output().expect("unshare");
        if !tried.status.success() {
            untested("no network namespaces without the privilege to make them");
            return None;
        }
        let mut hosts = Self { server: Host::new(), workers: Vec::new() };
        hosts.server.ip("link set lo up");
        hosts.server.ip(&format!("addr add {SERVER}/32 dev lo"));
        for (at, link) in links.iter().enumerate() {
            hosts.add(at, *link);
        }
        Some(hosts)
    }

    fn add(&mut self, at: usize, link: Link) {
        let worker = Host::new();
        let (server, end) = (&self.server, format!("link{at}"));
        let peer = server.holder.id();
        worker.ip("link set lo up");
        worker.ip(&format!("link add name up type veth peer name {end} netns {peer}"));
        worker.ip(&format!("addr add 10.99.{}.2/24 dev up", at + 1));
        server.ip(&format!("addr add 10.99.{}.1/24 dev {end}", at + 1));
        worker.ip("link set dev up up");
        server.ip(&format!("link set dev {end} up"));
        worker.ip(&format!("route add {SERVER} via 10.99.{}.1", at + 1));
        if let Link::Lossy(percent) = link {
            for (host, device) in [(&worker, "up"), (server, &*end)] {
                host.spoil(device, percent);
            }
        }
        self.workers.push(worker);
    }

    /// What begins a command that is to run on the server's machine.
    pub(super) fn on_server(&self) -> Vec<std::ffi::OsString> {
        self.server.within()
    }

    /// The same on a worker's.
    pub(super) fn on(&self, worker: usize) -> Vec<std::ffi::OsString> {
        self.workers[worker].within()
    }

    /// Cuts a worker's link: nothing goes through, and nobody is told.
    pub(super) fn cut(&self, worker: usize) {
        self.server.ip(&format!("link set dev link{worker} down"));
    }

    /// Heals it.
    pub(super) fn heal(&self, worker: usize) {
        self.server.ip(&format!("link set dev link{worker} up"));
    }
}

impl Host {
    fn new() -> Self {
        // It ends with its input.
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process in a namespace");
        let stdin = holder.stdin.take().expect("a pipe");
        let mut said = [0];
        holder.stdout.take().expect("a pipe").read_exact(&mut said).expect("it is there");
        Self { holder, _stdin: stdin }
    }

    fn within(&self) -> Vec<std::ffi::OsString> {
        let target = self.holder.id().to_string();
        ["nsenter", "--net", "--target", &target, "--"].map(Into::into).into()
    }

    #[track_caller]
    fn ip(&self, arguments: &str) {
        assert!(self.runs("ip", arguments), "ip {arguments}");
    }

    fn runs(&self, program: &str, arguments: &str) -> bool {
        let words = self.within();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(program).args(arguments.split(' '));
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Loses some of what comes, and slows down what goes. Not every kernel has a qdisc for both.
    #[track_caller]
    fn spoil(&self, device: &str, percent: u32) {
        let all = format!("qdisc add dev {device} root netem delay 5ms 2ms loss {percent}%");
        if self.runs("tc", &all) {
            return;
        }
        let slow = format!("qdisc add dev {device} root tbf rate 20mbit burst 16kb latency 50ms");
        assert!(self.runs("tc", &slow), "tc {slow}");
        // There is one table for all devices of a host.
        let _ = self.runs("nft", "add table inet farm")
            && self.runs("nft", "add chain inet farm in { type filter hook input priority 0 ; }");
        let rule = format!(
            "add rule inet farm in iifname {device} numgen random mod 100 < {percent} drop"
        );
        assert!(self.runs("nft", &rule), "nft {rule}");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
