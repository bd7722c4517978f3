//! A build farm: a server with TLS and workers, each a host of its own, with links that are cut and
//! healed, lose and delay what goes over them; and workers that stand still.

mod cut;
mod hosts;
mod lossy;

use std::{fs, path::PathBuf, sync::Mutex};

use self::hosts::{Hosts, Link, SERVER};
use crate::support::{Client, ONEWRITERD, Root, Running, until};

/// A server, and the hosts of its workers.
struct Farm {
    root: Root,
    url: String,
    /// Before the hosts: it runs on one of them.
    _daemon: Mutex<Running>,
    hosts: Hosts,
}

impl Farm {
    /// `None`, where this machine lets nobody make hosts.
    fn new(links: &[Link]) -> Option<Self> {
        let hosts = Hosts::new(links)?;
        let root = Root::new();
        let daemon =
            |args: Vec<_>| root.client().under(hosts.on_server()).start_program(ONEWRITERD, args);
        let directory = root.outside("tls");
        let words = format!("certs {} --host {SERVER} --token worker", directory.display());
        let printed = daemon(words.split(' ').map(Into::into).collect()).done();
        let settings = "listen = [\"0.0.0.0:0\"]\nallow = [\"token:worker\"]\nkeep-alive = 1\n";
        root.write(".onewriter/daemon.toml", format!("{settings}{}\n", printed.ok()));
        let running = daemon(vec!["--root".into(), root.path().into()]);
        let told = root.at(".onewriter/listening");
        until("it listens", || fs::read_to_string(&told).is_ok_and(|told| told.contains("://")));
        let told = fs::read_to_string(told).expect("where it listens");
        let port = told.trim().rsplit(':').next().expect("a port").to_owned();
        Some(Self {
            url: format!("https://{SERVER}:{port}"),
            _daemon: Mutex::new(running),
            root,
            hosts,
        })
    }

    /// A client on a worker's host, which stands in that worker's copy of the root.
    fn client(&self, worker: usize) -> Client<'_> {
        let tls = |name: &str| self.root.outside("tls").join(name);
        self.root
            .client()
            .under(self.hosts.on(worker))
            .within(self.copy(worker))
            .env("ONEWRITER_SERVER", &self.url)
            .env("ONEWRITER_TLS_CA", tls("ca.pem"))
            .env("ONEWRITER_TOKEN_FILE", tls("worker.token"))
    }

    /// The directory of a worker, which is made a copy of the root.
    fn copy(&self, worker: usize) -> PathBuf {
        let copy = self.root.outside(&format!("copy{worker}"));
        if !copy.exists() {
            fs::create_dir(&copy).expect("a directory");
            self.root.client().within(&copy).run("init").ok();
        }
        copy
    }

    /// Starts `onewriter ARGS -- COMMAND` on a worker; the command notes its tokens, waits until it
    /// is told to go on, and then does what comes after that.
    fn start(&self, worker: usize, args: &str, then: &str) -> Running {
        let (began, go_on) = (self.file(worker, "began"), self.file(worker, "go-on"));
        let script = format!(
            "trap '' TERM; echo $ONEWRITER_LEASE > {began}.new && mv {began}.new {began}; \
             while [ ! -e {go_on} ]; do sleep 0.01; done; {then}",
        );
        let mut words: Vec<_> = args.split(' ').map(std::ffi::OsString::from).collect();
        words.extend(["--", "/bin/sh", "-c", &script].map(Into::into));
        self.client(worker).start(words)
    }

    /// Waits until the command of a worker runs; the tokens under which it does.
    #[track_caller]
    fn runs(&self, worker: usize) -> String {
        let began = self.file(worker, "began");
        until(&format!("the command of worker {worker} runs"), || fs::exists(&began).unwrap());
        fs::read_to_string(began).unwrap().trim().to_owned()
    }

    fn go_on(&self, worker: usize) {
        fs::write(self.file(worker, "go-on"), "").unwrap();
    }

    fn file(&self, worker: usize, what: &str) -> String {
        self.root.outside(&format!("{worker}.{what}")).to_str().unwrap().to_owned()
    }

    /// How many wait for leases.
    fn waiters(&self) -> usize {
        let status = self.root.run("status --json").json();
        let leases = status["leases"].as_array().cloned().unwrap_or_default();
        leases.iter().map(|lease| lease["waiters"].as_array().map_or(0, Vec::len)).sum()
    }
}
