//! Several daemons for one root, and a real etcd that says which of them owns it.

mod etcd;
mod history;
mod standing;
mod takeover;

use std::{
    cell::RefCell,
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;

use self::etcd::{Etcd, Way, read};
use crate::support::{Client, Done, ONEWRITERD, Process, Root, until};

/// What the root is called.
const NAME: &str = "tree";

/// How long an owner lives without etcd, in seconds.
const TTL: &str = "2";

/// A root with its daemons.
struct Cluster {
    members: RefCell<Vec<Member>>,
    root: Root,
    etcd: Etcd,
}

/// A daemon. Dropped, it is killed.
struct Member {
    child: Child,
    way: Way,
    log: PathBuf,
}

impl Cluster {
    /// With so many daemons, one of which owns the root. `None`: there is no etcd on this machine.
    fn new(members: usize) -> Option<Self> {
        let cluster = Self::empty()?;
        for _ in 0..members {
            cluster.join(&[]);
        }
        cluster.owner();
        Some(cluster)
    }

    /// With so many, of which the first one owns the root, and has these in its environment.
    fn led(environment: &[(&str, &str)], members: usize) -> Option<Self> {
        let cluster = Self::empty()?;
        cluster.join(environment);
        assert_eq!(cluster.owner(), 0);
        for _ in 1..members {
            cluster.join(&[]);
        }
        Some(cluster)
    }

    fn empty() -> Option<Self> {
        let etcd = Etcd::start()?;
        let root = Root::new();
        std::fs::create_dir(root.outside("afar")).expect("a directory");
        Some(Self { members: RefCell::default(), root, etcd })
    }

    /// One more daemon, with these in its environment; its number.
    fn join(&self, environment: &[(&str, &str)]) -> usize {
        let way = Way::to(&self.etcd);
        self.join_by(way, environment)
    }

    fn join_by(&self, way: Way, environment: &[(&str, &str)]) -> usize {
        let number = self.members.borrow().len();
        let log = self.root.outside(&format!("member-{number}.log"));
        let child = Command::new(ONEWRITERD)
            .arg("--root")
            .arg(self.root.path())
            .args(["--cluster", &format!("etcd://{}", way.address), "--name", NAME])
            .args(["--cluster-ttl", TTL, "--listen", "127.0.0.1:0", "--insecure-loopback"])
            .args(["--allow", "*", "--durability", "process", "--drain-timeout", "5"])
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("a daemon");
        let member = Member { child, way, log };
        until("it listens", || member.address().is_some());
        self.members.borrow_mut().push(member);
        number
    }

    /// Who owns the root according to etcd, as soon as somebody does.
    #[track_caller]
    fn owner(&self) -> usize {
        let mut owner = None;
        until("somebody owns the root", || {
            owner = self.owner_now();
            owner.is_some()
        });
        owner.expect("an owner")
    }

    fn owner_now(&self) -> Option<usize> {
        let told = self.etcd.get(&format!("/onewriter/roots/{NAME}/owner"));
        let address = told.lines().next()?.to_owned();
        self.members.borrow().iter().position(|member| member.address() == Some(address.clone()))
    }

    /// Waits until somebody else owns the root than `last`.
    #[track_caller]
    fn owner_after(&self, last: usize) -> usize {
        let mut owner = None;
        until("somebody else owns the root", || {
            owner = self.owner_now().filter(|owner| *owner != last);
            owner.is_some()
        });
        owner.expect("an owner")
    }

    fn process(&self, member: usize) -> Process {
        Process(self.members.borrow()[member].child.id())
    }

    fn kill(&self, member: usize) {
        let child = &mut self.members.borrow_mut()[member].child;
        child.kill().expect("it is killed");
        child.wait().expect("its end");
    }

    fn address(&self, member: usize) -> String {
        self.members.borrow()[member].address().expect("it listens")
    }

    fn log(&self, member: usize) -> String {
        read(&self.members.borrow()[member].log)
    }

    #[track_caller]
    fn says(&self, member: usize, what: &str) {
        until(what, || self.log(member).contains(what));
    }

    /// As clients name the root.
    fn url(&self) -> String {
        format!("etcd://{}/{NAME}", self.etcd.address)
    }

    /// A client on another machine.
    fn client(&self) -> Client<'_> {
        self.client_of(&self.url())
    }

    fn client_of(&self, server: &str) -> Client<'_> {
        self.root.client().within(self.root.outside("afar")).env("ONEWRITER_SERVER", server)
    }

    #[track_caller]
    fn run(&self, args: &str) -> Done {
        self.client().run(args)
    }

    #[track_caller]
    fn publish(&self, path: &str, content: &str) -> Done {
        self.client().input(content).run(&format!("publish -p {path}"))
    }
}

impl Member {
    /// Where it listens, as its log says.
    fn address(&self) -> Option<String> {
        let log = read(&self.log);
        let line = log.lines().find(|line| line.contains("listening"))?;
        Some(line.split('"').nth(1)?.to_owned())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}---", self.log.display(), read(&self.log));
        }
    }
}

/// Lets it go on, if it was stopped.
fn go_on(process: Process) {
    process.signal(Signal::CONT);
}
