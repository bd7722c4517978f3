//! Who may do what, where, and how much of it.
//!
//! A [`Policy`] is a list of rules: whoever has one of these names may do these things at these
//! paths and below. There are no prohibitions, so that the order of rules does not matter, and who
//! may do something to a directory may do it to all that is in it. That makes one look at the
//! path of a tree enough, however large it is.
//!
//! What a policy grants to one identity are its [`Rights`]; whoever has none to be checked (the
//! daemon's own user) may do everything. The engine asks them for each path that a request claims, as
//! it was spelled and as it turned out to be (`engine/permitting.rs`).

mod kinds;
mod limits;
mod quota;
mod rights;
#[cfg(test)]
mod tests;

pub use self::{
    kinds::{Kinds, UnknownKind},
    limits::{LEAST_QUEUED, Limit, Limits, Room, Slot},
    quota::Usage,
    rights::{Denial, Rights},
};
pub(crate) use self::{limits::NoTurn, rights::Refused};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use onewriter_tree::RelPath;

/// Whoever it names may do what it says at its paths and below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What people call it.
    pub name: String,
    /// Names of identities; one that ends in `*` stands for all that begin so.
    pub who: Vec<String>,
    /// The root is all.
    pub paths: Vec<RelPath>,
    /// What they may do.
    pub may: Kinds,
}

/// Rules, and limits for identities.
#[derive(Debug, Default)]
pub struct Policy {
    /// In the order in which they were written.
    pub rules: Vec<Rule>,
    /// The first that says something of an identity counts.
    pub limits: Vec<Limit>,
}

/// The policy that holds, and what its identities have used.
#[derive(Debug, Default)]
pub struct Book {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    policy: Arc<Policy>,
    /// By what an identity is called: one for each list of names that it came with (a user has the
    /// group of the process that asks). They share an account.
    known: HashMap<Arc<str>, Vec<Arc<Rights>>>,
}

/// Identities that are remembered; when there are more, those that nobody uses are forgotten, and
/// with them what they have used.
const KNOWN: usize = 10_000;

impl Book {
    /// Has `policy` hold from now on. What was used stays used; rights that stay as they are stay in
    /// force.
    pub fn replace(&self, policy: Policy) {
        let policy = Arc::new(policy);
        self.lock().policy = Arc::clone(&policy);
        self.renew(|old, new| !new.are_as(old), &policy);
    }

    /// Takes the rights of all who ask for something that has no end until they ask again: who is who
    /// may not be what it was.
    pub fn expire(&self) {
        let policy = Arc::clone(&self.lock().policy);
        self.renew(|_, _| true, &policy);
    }

    fn renew(&self, is_due: impl Fn(&Rights, &Rights) -> bool, policy: &Policy) {
        for all in self.lock().known.values_mut() {
            for at in 0..all.len() {
                let new = all[at].under(policy).beside(&all[0]);
                if is_due(&all[at], &new) {
                    all[at].supersede();
                    all[at] = Arc::new(new);
                }
            }
        }
    }

    /// The rights of somebody who is called `who`, and has all of `names`, that among them.
    pub fn rights(&self, who: &str, names: Vec<String>) -> Arc<Rights> {
        let mut state = self.lock();
        let State { policy, known } = &mut *state;
        if let Some(all) = known.get_mut(who) {
            if let Some(rights) = all.iter().find(|rights| rights.names() == names) {
                return Arc::clone(rights);
            }
            let rights = Arc::new(all[0].called(names, policy));
            all.push(Arc::clone(&rights));
            return rights;
        }
        if known.len() >= KNOWN {
            known.retain(|_, all| all.iter().any(|rights| Arc::strong_count(rights) > 1));
        }
        let rights = Arc::new(Rights::new(who, names, policy));
        known.insert(rights.who().clone(), vec![Arc::clone(&rights)]);
        rights
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a policy that says `pattern` means somebody called `name`.
fn is_meant(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}
