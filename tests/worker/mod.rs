//! Workers: commands on a copy of the root whose daemon is elsewhere.

mod batches;
mod links;
mod run;
mod stale;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    remote::Afar,
    support::{Client, Done, Running, shape, until},
};

/// A copy of a root.
struct Worker<'a> {
    afar: &'a Afar,
    name: &'static str,
}

impl<'a> Worker<'a> {
    /// A copy of all that the root has now.
    #[track_caller]
    fn new(afar: &'a Afar, name: &'static str) -> Self {
        let worker = Self { afar, name };
        fs::create_dir(worker.path()).expect("a directory");
        worker.client().run("init").ok();
        worker.client().run("fetch .").ok();
        worker
    }

    fn path(&self) -> PathBuf {
        self.afar.root.outside(self.name)
    }

    fn at(&self, below: &str) -> PathBuf {
        self.path().join(below)
    }

    fn client(&self) -> Client<'a> {
        self.afar.client().within(self.path()).env("BESIDE", self.afar.root.outside(""))
    }

    #[track_caller]
    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn start(&self, options: &str, script: &str) -> Running {
        self.client().start(words(options, script))
    }

    /// Runs a shell script as a transaction.
    #[track_caller]
    fn script(&self, options: &str, script: &str) -> Done {
        self.start(options, script).done()
    }

    /// Starts a script that says that it runs, and waits until it is told to go on; and waits until
    /// it does.
    #[track_caller]
    fn waiting(&self, options: &str, before: &str, then: &str) -> Running {
        let runs = self.runs();
        let wait = format!("{before}; {}; {then}", self.wait());
        let running = self.start(options, &wait);
        until("the command runs", || self.runs() > runs);
        running
    }

    fn wait(&self) -> String {
        let name = self.name;
        format!(
            "echo >> $BESIDE/{name}.runs; while [ ! -e $BESIDE/{name}.go ]; do sleep 0.01; done"
        )
    }

    /// How often such scripts have begun.
    fn runs(&self) -> usize {
        let noted = self.afar.root.outside(&format!("{}.runs", self.name));
        fs::read_to_string(noted).unwrap_or_default().lines().count()
    }

    fn go_on(&self) {
        let go = self.afar.root.outside(&format!("{}.go", self.name));
        fs::write(go, "").expect("a file");
    }

    /// The copy is what the server has, and nothing is left of any transaction on either side.
    #[track_caller]
    fn is_a_copy(&self) {
        assert_eq!(shape(&self.path()), shape(self.afar.root.path()));
        self.nothing_is_left();
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        assert_eq!(names(&self.at(".onewriter/staging")), [""; 0]);
        until("staging is empty", || self.afar.root.staging().is_empty());
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn words(options: &str, script: &str) -> Vec<OsString> {
    crate::transactions::words(options, script)
}
