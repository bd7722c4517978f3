//! Doing once what is asked for twice: the outcomes of requests that brought a key.
//!
//! A client that lost the link to its daemon does not know what became of its request, and asks
//! again. What is under way under the same key is waited for, what was done is told again. So that
//! a successor knows it too, there is a record ([`log`]) beside the tree: an intent right before a
//! mutation acts, under its locks, with evidence of how its paths were; and the outcome, before the
//! locks are given back. An intent without an outcome is decided by the disk when the next daemon
//! starts, before anybody else can have changed those paths ([`evidence`]).
//!
//! A mutation that comes with a key is therefore one whose act is one step: of several, the evidence
//! could not say how many were done.

mod code;
mod evidence;
mod known;
mod log;
#[cfg(test)]
mod tests;

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use onewriter_tree::{
    Error, Printable, Reason, Tree, fault,
    mutation::{Change, Mutation},
};
use tokio::sync::Notify;

use self::{
    evidence::Evidence,
    known::{Done, Intent, Known, Standing},
    log::{Log, Record},
};

/// Whose request it is, and the number that he gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) who: String,
    pub(crate) id: [u8; 16],
}

/// All keys of a root.
#[derive(Debug)]
pub(crate) struct Keys {
    tree: Arc<Tree>,
    epoch: u64,
    /// Whether an intent is to be on the disk before the act.
    durable: bool,
    known: Mutex<Known>,
    /// `None` as long as nobody has brought a key.
    log: Mutex<Option<Log>>,
    /// Whenever one is not under way any more.
    ended: Notify,
}

/// What somebody who brings a key is to do.
pub(crate) enum Entered {
    /// What it is for was done: these were the changes.
    Told(Vec<Change>),
    /// It is his to do.
    Mine(Turn),
}

/// The right to do what a key is for. Dropped before [`Turn::done`], nothing has happened.
#[derive(Debug)]
pub(crate) struct Turn {
    keys: Arc<Keys>,
    key: Key,
    what: String,
    /// Whether its intent is on record.
    noted: bool,
}

impl Keys {
    /// What earlier daemons remember. The caller owns the root, nobody is served yet, and nobody else
    /// can change it any more.
    ///
    /// # Errors
    /// What keeps the record from being read or written.
    pub(crate) fn open(tree: Arc<Tree>, epoch: u64, durable: bool) -> Result<Arc<Self>, Error> {
        let mut known = Known::default();
        let found = log::read(&tree, epoch).map_err(failed)?;
        let mut log = None;
        if let Some(records) = found {
            let pending = known.learn(records);
            for (key, intent) in pending {
                // What was not done is forgotten, and may be asked for anew.
                if let Some(changes) = intent.evidence.changes(&tree) {
                    known.done(key, Done { at: intent.at, what: intent.what, changes });
                }
            }
            known.expire();
            log = Some(Log::begin(&tree, epoch, &known).map_err(failed)?);
        }
        Ok(Arc::new(Self {
            tree,
            epoch,
            durable,
            known: Mutex::new(known),
            log: Mutex::new(log),
            ended: Notify::new(),
        }))
    }

    /// Waits until nobody else is at work under `key`, until the `deadline`.
    ///
    /// # Errors
    /// `BAD_REQUEST` where it was of another request, `LOCK_TIMEOUT`.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        key: Key,
        mutation: &mut dyn Mutation,
        deadline: Instant,
    ) -> Result<Entered, Error> {
        let (path, what) = request(mutation);
        loop {
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            match self.known().begin(&key) {
                Standing::Free => {
                    return Ok(Entered::Mine(Turn {
                        keys: Arc::clone(self),
                        key,
                        what,
                        noted: false,
                    }));
                }
                Standing::Done(done) if done.what == what => {
                    return Ok(Entered::Told(done.changes));
                }
                Standing::Done(done) => {
                    let why = format!("its idempotency_key was that of '{}'", done.what);
                    return Err(Error::new(Reason::BadRequest, &path, why));
                }
                Standing::UnderWay => {}
            }
            if tokio::time::timeout_at(deadline.into(), ended).await.is_err() {
                let why = "the same request is under way already, and did not end in time";
                return Err(Error::new(Reason::LockTimeout, &path, why));
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `record` where a successor finds it.
    fn write(&self, record: &Record, sync: bool) -> Result<(), Error> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log = match &mut *log {
            Some(log) => log,
            none => none.insert(Log::begin(&self.tree, self.epoch, &self.known()).map_err(failed)?),
        };
        if log.is_spent() {
            let mut known = self.known();
            known.expire();
            *log = Log::begin(&self.tree, self.epoch, &known).map_err(failed)?;
        }
        log.append(record, sync).map_err(failed)
    }
}

impl Turn {
    /// Puts on record that it is about to be done, and how its paths are now. The caller has their
    /// locks.
    ///
    /// # Errors
    /// What keeps it from being written: then it must not be done.
    pub(crate) fn intend(&mut self, mutation: &mut dyn Mutation) -> Result<(), Error> {
        let evidence = Evidence::of(&self.keys.tree, mutation);
        let (key, what, at) = (self.key.clone(), self.what.clone(), log::now());
        // First, lest a file that is begun anew in this moment lack it.
        let intent = Intent { at, what: what.clone(), evidence: evidence.clone() };
        self.keys.known().intended(key.clone(), intent);
        self.noted = true;
        self.keys.write(&Record::Intent { key, at, what, evidence }, self.keys.durable)?;
        fault::point("keys.intended").map_err(|errno| failed(errno.into()))
    }

    /// It was done. The caller still has the locks.
    pub(crate) fn done(mut self, changes: &[Change]) {
        let _ = fault::point("keys.done");
        let what = std::mem::take(&mut self.what);
        let done = Done { at: log::now(), what, changes: changes.to_vec() };
        self.keys.known().done(self.key.clone(), done.clone());
        let record = Record::Done { key: self.key.clone(), done };
        // A successor is told by the evidence.
        if let Err(error) = self.keys.write(&record, false) {
            tracing::warn!(cause = %error, "an outcome is not on record");
        }
        self.noted = false;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.noted {
            let _ = self.keys.write(&Record::Void { key: self.key.clone() }, false);
        }
        self.keys.known().end(&self.key);
        self.keys.ended.notify_waiters();
    }
}

/// The path that a request is told by, and all that it is known by.
fn request(mutation: &mut dyn Mutation) -> (Vec<u8>, String) {
    let method = mutation.method();
    let claims = mutation.claims();
    let paths = claims.iter().map(|claim| match claim.path.is_root() {
        true => &b"."[..],
        false => claim.path.as_bytes(),
    });
    let first = paths.clone().next().unwrap_or(b".").to_vec();
    let paths = paths.map(|path| Printable(path).to_string()).collect::<Vec<_>>().join(" ");
    (first, format!("{method} {paths}"))
}

fn failed(error: std::io::Error) -> Error {
    let what = format!("cannot keep a record of what was asked for in '.onewriter/{}'", log::DIR);
    match rustix::io::Errno::from_io_error(&error) {
        Some(errno) => Error::io(b".", &what, errno),
        None => Error::new(Reason::Io, b".", format!("{what}: {error}")),
    }
}
