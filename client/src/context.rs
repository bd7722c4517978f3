//! What a command works with: its settings, where it stands, and a way to have things done.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::Duration,
};

use onewriter_proto::v1;
use prost::Message;
use rustix::{fs::Mode, process::umask};
use serde_json::Value;

use crate::{
    command::Given,
    failure::Failure,
    leased,
    output::Output,
    place::Place,
    process::Ending,
    remote::{Credentials, Remote},
    server::Server,
    session::Session,
};

const DEFAULT_TIMEOUT: u64 = 300;

/// Names the build root.
pub(crate) const ROOT: &str = "ONEWRITER_ROOT";

/// How many seconds to wait.
pub(crate) const TIMEOUT: &str = "ONEWRITER_TIMEOUT";

/// Tells whatever runs in a build which one that is.
pub(crate) const BUILD: &str = "ONEWRITER_BUILD";

/// Tells a command its transaction: what it sees is the transaction's own view of the tree.
pub(crate) const TRANSACTION: &str = "ONEWRITER_TRANSACTION";

/// What that variable says: the transaction's name, and the mount namespace outside of it. A process
/// that has the variable but stands there is no part of any transaction, whoever told it so.
pub(crate) fn transaction(name: &str) -> OsString {
    format!("{name}:{}", mount_namespace()).into()
}

/// Whether this process is part of a transaction's command. What it changes belongs to the
/// transaction, and is committed with it.
pub(crate) fn is_inside_transaction() -> bool {
    let Some(said) = env::var_os(TRANSACTION) else { return false };
    let outside = said.to_str().and_then(|said| said.rsplit_once(':')?.1.parse().ok());
    outside.is_some_and(|outside: u64| outside != mount_namespace())
}

/// A number of this process's own mount namespace; 0 where there is no /proc.
fn mount_namespace() -> u64 {
    rustix::fs::stat("/proc/self/ns/mnt").map_or(0, |found| found.st_ino)
}

/// One run of a command.
#[derive(Debug)]
pub struct Context {
    root: Option<OsString>,
    server: Option<OsString>,
    /// For a server on another machine.
    credentials: Option<Box<Credentials>>,
    timeout: Option<OsString>,
    build: String,
    target: String,
    lease: Option<OsString>,
    /// What `lease` says, once it was checked.
    leases: Vec<u64>,
    json: bool,
    /// What make runs, where this is a recipe.
    recipe: Option<v1::Recipe>,
    umask: Option<u32>,
    /// In a transaction: the root that nothing may leave.
    view: Option<OsString>,
    pub(crate) output: Output,
    /// How the program is to end where all went well: as the command ended that it ran.
    pub(crate) ending: Ending,
}

impl Context {
    /// From the common options, and the environment where they say nothing.
    pub(crate) fn new(given: &Given) -> Self {
        let setting = |option: &str, variable: &str| {
            given
                .value(option)
                .map(OsStr::to_owned)
                .or_else(|| env::var_os(variable))
                .filter(|v| !v.is_empty())
        };
        let label = |setting: Option<OsString>| {
            setting.map(|v| v.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let server = setting("server", "ONEWRITER_SERVER");
        let credentials = || Credentials {
            ca: setting("tls-ca", "ONEWRITER_TLS_CA"),
            cert: setting("tls-cert", "ONEWRITER_TLS_CERT"),
            key: setting("tls-key", "ONEWRITER_TLS_KEY"),
            token: setting("token-file", "ONEWRITER_TOKEN_FILE"),
        };
        Self {
            root: setting("root", ROOT),
            credentials: server.is_some().then(|| Box::new(credentials())),
            server,
            timeout: setting("timeout", TIMEOUT),
            build: label(setting("build", BUILD)),
            target: label(setting("target", "ONEWRITER_TARGET")),
            leases: Vec::new(),
            lease: setting("lease", leased::VARIABLE),
            json: given.has("json"),
            recipe: None,
            umask: None,
            view: None,
            output: Output::default(),
            ending: Ending::Exit(0),
        }
    }

    /// Refuses settings that make no sense, before anything is done.
    pub(crate) fn check(&mut self, _: &Given) -> Result<(), Failure> {
        self.timeout()?;
        if let Some(lease) = &self.lease {
            self.leases = leased::tokens(&lease.to_string_lossy())?;
            // A transaction's changes are fenced when they are committed.
            if self.is_direct() && !is_inside_transaction() && !self.leases.is_empty() {
                let message = "without a daemon nobody knows whether the lease is held".into();
                let hint = "leave out ONEWRITER=off, or take the lease out of ONEWRITER_LEASE";
                return Err(Failure::Barred { message, hint });
            }
        }
        match env::var_os("ONEWRITER") {
            Some(mode) if mode != "off" && mode != "on" && !mode.is_empty() => {
                Err(Failure::Usage(format!("ONEWRITER is 'on' or 'off', not '{}'", mode.display())))
            }
            _ => Ok(()),
        }
    }

    /// How long the whole command may wait.
    pub(crate) fn timeout(&self) -> Result<Duration, Failure> {
        let Some(text) = &self.timeout else { return Ok(Duration::from_secs(DEFAULT_TIMEOUT)) };
        let seconds = text.to_str().and_then(|text| text.parse::<f64>().ok());
        let seconds = seconds.filter(|s| *s > 0.0 && *s < 1e7);
        let refuse = || {
            Failure::Usage(format!(
                "a timeout is a number of seconds above 0, not '{}'",
                text.display()
            ))
        };
        seconds.map(Duration::from_secs_f64).ok_or_else(refuse)
    }

    /// Whether this process makes its changes itself: the user asked for no daemon, or what it
    /// sees is a transaction's, which no daemon sees.
    pub(crate) fn is_direct(&self) -> bool {
        is_inside_transaction() || env::var_os("ONEWRITER").is_some_and(|mode| mode == "off")
    }

    /// Whether results go out as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The caller's umask. Read once; it is 0 afterwards, since all modes are set exactly.
    pub(crate) fn umask(&mut self) -> u32 {
        *self.umask.get_or_insert_with(|| umask(Mode::empty()).as_raw_mode())
    }

    /// Gives the process the caller's umask back, for a command that inherits it.
    pub(crate) fn restore_umask(&mut self) {
        umask(Mode::from_raw_mode(self.umask()));
    }

    /// Lets requests say this umask instead of the caller's.
    pub(crate) fn assume_umask(&mut self, umask: u32) {
        self.umask = Some(umask);
    }

    /// In a transaction, keeps everything in this root.
    pub(crate) fn confine(&mut self, root: &OsStr) {
        self.view = Some(root.to_owned());
    }

    /// Makes requests say that they belong to a recipe of this target.
    pub(crate) fn set_recipe(&mut self, target: String, recipe: v1::Recipe) {
        self.target = target;
        self.recipe = Some(recipe);
    }

    /// Makes requests say that they belong to this build.
    pub(crate) fn set_build(&mut self, id: &str) {
        id.clone_into(&mut self.build);
    }

    /// Whether the user named the build root.
    pub(crate) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// Works on this build root.
    pub(crate) fn set_root(&mut self, root: &Path) {
        self.root = Some(root.into());
    }

    /// The build id and target that were set; empty if none.
    pub(crate) fn labels(&self) -> (&str, &str) {
        (&self.build, &self.target)
    }

    /// The build root that this command is for.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        Place::find(self.root.as_deref())
    }

    /// Whether the user named a server elsewhere.
    pub(crate) fn is_afar(&self) -> bool {
        let local = |address: &OsString| address.as_bytes().starts_with(b"unix:");
        self.server.as_ref().is_some_and(|address| !local(address))
    }

    /// The daemon that this command talks to.
    pub(crate) fn server(&self) -> Result<Server, Failure> {
        if is_inside_transaction() {
            // The state directory is hidden there, so that no root can be told from others.
            let place = self.view.as_deref().map_or_else(Place::everything, Place::view_of);
            return place.map(Server::Root);
        }
        match &self.server {
            None => match self.place() {
                // Without a daemon, any place will do: a Makefile stays usable everywhere.
                Err(Failure::NoRoot(_)) if self.is_direct() && self.root.is_none() => {
                    Place::everything().map(Server::Root)
                }
                place => place.map(Server::Root),
            },
            Some(address) => self.server_at(address),
        }
    }

    fn server_at(&self, address: &OsStr) -> Result<Server, Failure> {
        if let Some(path) = address.as_bytes().strip_prefix(b"unix:").filter(|p| !p.is_empty()) {
            let path = path.strip_prefix(b"//").unwrap_or(path);
            return Ok(Server::Unix(OsStr::from_bytes(path).into()));
        }
        let credentials = self.credentials.as_deref().cloned().unwrap_or_default();
        let remote = Remote::parse(address, &credentials)?;
        remote.map(|remote| Server::Remote(Box::new(remote))).ok_or_else(|| {
            Failure::Usage(format!(
                "a server's address is https://HOST:PORT, etcd://HOST:PORT/NAME or unix:/path/to/daemon.sock, not '{}'",
                address.display()
            ))
        })
    }

    /// The daemon, for `what` only a daemon has.
    pub(crate) fn server_for(&self, what: &str) -> Result<Server, Failure> {
        if is_inside_transaction() {
            let why = "and a command in a transaction has none: it sees a tree of its own";
            let message = format!("{what} is held by a daemon, {why}");
            let hint = "give the command around 'onewriter run', not in it";
            return Err(Failure::Barred { message, hint });
        }
        if self.is_direct() {
            let message = format!("{what} is held by a daemon, and ONEWRITER=off wants none");
            return Err(Failure::Barred { message, hint: "leave out ONEWRITER=off" });
        }
        self.server()
    }

    /// The tokens of the leases under which this command runs, and one more.
    pub(crate) fn leases_and(&self, token: u64) -> Vec<u64> {
        self.leases.iter().copied().chain([token]).collect()
    }

    /// Calls to that daemon, which is started where none runs and one is wanted.
    pub(crate) fn session<'s>(&self, server: &'s Server) -> Result<Session<'s>, Failure> {
        Ok(Session::new(server, self.timeout()?, !self.is_direct()))
    }

    /// What every request says of its caller.
    pub(crate) fn request(&mut self, server: &Server) -> v1::Context {
        let directory = match server {
            Server::Root(place) => place.directory(),
            Server::Unix(_) | Server::Remote(_) => String::new(),
        };
        v1::Context {
            build: self.build.clone(),
            target: self.target.clone(),
            directory,
            umask: Some(self.umask()),
            pid: 0,
            leases: self.leases.clone(),
            recipe: self.recipe.clone(),
            idempotency_key: Vec::new(),
        }
    }

    /// Asks the daemon, but starts none. Where none runs, this says so, and as JSON `absent`; that is no
    /// failure.
    pub(crate) fn ask<R: Message + Default>(
        &mut self,
        server: &Server,
        method: &str,
        request: &impl Message,
        absent: &Value,
    ) -> Result<Option<R>, Failure> {
        let answer = self.session(server)?.unary_if_running(method, request)?;
        match (&answer, self.json) {
            (Some(_), _) => {}
            (None, true) => self.output.json(absent)?,
            (None, false) => self.output.line("no daemon runs for this build root")?,
        }
        Ok(answer)
    }
}
