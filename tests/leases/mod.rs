//! `onewriter lock` and `onewriter once`: real processes against each other.

mod lock;
mod lost;
mod once;

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{Done, Process, Root, Running, until};

/// What a command that holds a lease does: says that it runs, and waits until it is told to go on.
/// Both are files beside the root, which no lease is on.
struct Holder<'r> {
    root: &'r Root,
    name: String,
    client: Running,
}

impl<'r> Holder<'r> {
    /// Starts `onewriter ARGS -- COMMAND` and waits until the command runs.
    #[track_caller]
    fn start(root: &'r Root, name: &str, args: &str) -> Self {
        let holder = Self::waiting(root, name, args, "");
        holder.runs();
        holder
    }

    /// Starts it, with something more that the command does when it goes on.
    #[track_caller]
    fn waiting(root: &'r Root, name: &str, args: &str, then: &str) -> Self {
        let (began, go_on) = (file(root, name, "began"), file(root, name, "go-on"));
        let script = format!(
            "echo $ONEWRITER_LEASE > {began}.new && mv {began}.new {began}; \
             while [ ! -e {go_on} ]; do sleep 0.01; done; {then}",
        );
        let mut words: Vec<_> = args.split(' ').map(std::ffi::OsString::from).collect();
        words.extend(["--", "/bin/sh", "-c", &script].map(Into::into));
        Self { root, name: name.to_owned(), client: root.client().start(words) }
    }

    #[track_caller]
    fn runs(&self) {
        until(&format!("{} runs", self.name), || self.has_begun());
    }

    fn has_begun(&self) -> bool {
        Path::new(&file(self.root, &self.name, "began")).exists()
    }

    /// The tokens that the command was given.
    fn tokens(&self) -> String {
        fs::read_to_string(file(self.root, &self.name, "began")).unwrap().trim().to_owned()
    }

    fn process(&self) -> Process {
        Process(self.client.id())
    }

    fn let_go(&self) {
        fs::write(file(self.root, &self.name, "go-on"), "").unwrap();
    }

    #[track_caller]
    fn ends(self) -> Done {
        self.let_go();
        self.client.done()
    }
}

fn file(root: &Root, name: &str, what: &str) -> String {
    root.outside(&format!("{name}.{what}")).to_str().unwrap().to_owned()
}

/// All leases, as `status --json` has them.
#[track_caller]
fn leases(root: &Root) -> Vec<Value> {
    root.run("status --json").json()["leases"].as_array().cloned().unwrap_or_default()
}

/// How many wait for leases.
fn waiters(root: &Root) -> usize {
    leases(root).iter().map(|lease| lease["waiters"].as_array().map_or(0, Vec::len)).sum()
}

#[track_caller]
fn until_waiting(root: &Root, count: usize) {
    until(&format!("{count} wait"), || waiters(root) == count);
}
