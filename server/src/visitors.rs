//! Who is connected, since when, and what they ask for.
//!
//! One-shot clients come and go by the thousand, so that this costs a connection one entry, and a
//! request one more. What is made of it for people is made when somebody asks.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{Uri, uri::PathAndQuery};
use slab::Slab;

use crate::{gate::Origin, identity::Identity, peer::Address};

/// The longest method that is told of, in bytes: peers may ask for what they like.
const METHOD_MAX: usize = 100;

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Visitors(Mutex<Slab<Arc<Visit>>>);

/// A connection, as long as it is there.
#[derive(Debug)]
pub(crate) struct Visitor {
    all: Arc<Visitors>,
    place: usize,
    visit: Arc<Visit>,
}

#[derive(Debug)]
struct Visit {
    came: Instant,
    origin: Origin,
    address: Option<Address>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Who asked last: on one connection, requests may bring different tokens.
    who: Option<Identity>,
    requests: Slab<(Option<PathAndQuery>, Instant)>,
    /// When the last request came or was over.
    stirred: Instant,
}

/// A request, as long as it is under way.
#[derive(Debug)]
pub(crate) struct Asking {
    visit: Arc<Visit>,
    place: usize,
}

/// A connection at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Who it is; `None`: that is not known yet.
    pub(crate) who: Option<Identity>,
    /// How it came.
    pub(crate) origin: Origin,
    /// From which machine; `None`: this one.
    pub(crate) address: Option<Address>,
    /// How long it has been there.
    pub(crate) stays: Duration,
    /// For how long nothing was asked or answered; zero while a request is under way.
    pub(crate) idle: Duration,
    /// The methods of requests under way, and for how long they have been.
    pub(crate) requests: Vec<(String, Duration)>,
}

impl Visitors {
    /// Somebody who has just come.
    pub(crate) fn enter(self: &Arc<Self>, origin: &Origin, address: Option<Address>) -> Visitor {
        let who = match origin {
            Origin::Unix(who) => Some(who.clone()),
            Origin::Tls(name) => name.clone().map(Identity::Certificate),
            Origin::Loopback => None,
        };
        let came = Instant::now();
        let state = State { who, requests: Slab::new(), stirred: came };
        let visit = Visit { came, origin: origin.clone(), address, state: Mutex::new(state) };
        let visit = Arc::new(visit);
        let place = self.lock().insert(Arc::clone(&visit));
        Visitor { all: Arc::clone(self), place, visit }
    }

    /// All that are there.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let visits: Vec<_> = self.lock().iter().map(|(_, visit)| Arc::clone(visit)).collect();
        visits.iter().map(|visit| visit.seen()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Visit>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor {
    /// It asks for something, as `who` if that is known.
    pub(crate) fn asks(&self, who: Option<&Identity>, what: &Uri) -> Asking {
        let mut state = self.visit.lock();
        if who.is_some() && state.who.as_ref() != who {
            state.who = who.cloned();
        }
        state.stirred = Instant::now();
        let asked = (what.path_and_query().cloned(), state.stirred);
        let place = state.requests.insert(asked);
        Asking { visit: Arc::clone(&self.visit), place }
    }
}

impl Visit {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Seen {
        let state = self.lock();
        let mut requests: Vec<_> = state.requests.iter().map(|(_, asked)| asked).collect();
        requests.sort_by_key(|(_, since)| *since);
        let shown = |(what, since): &(Option<PathAndQuery>, Instant)| {
            let method = what.as_ref().map_or("", PathAndQuery::path);
            let method = method.strip_prefix('/').unwrap_or(method);
            let end = method.floor_char_boundary(METHOD_MAX);
            (method[..end].to_owned(), since.elapsed())
        };
        let is_busy = !requests.is_empty();
        Seen {
            who: state.who.clone(),
            origin: self.origin.clone(),
            address: self.address,
            stays: self.came.elapsed(),
            idle: if is_busy { Duration::ZERO } else { state.stirred.elapsed() },
            requests: requests.into_iter().map(shown).collect(),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.visit.lock();
        state.requests.remove(self.place);
        state.stirred = Instant::now();
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.all.lock().remove(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_is_seen_with_what_it_asks_for_and_is_gone_when_it_goes() {
        let all = Arc::new(Visitors::default());
        let local = all.enter(&Origin::Unix(Identity::Local { pid: 7, uid: 8, gid: 9 }), None);
        let address = Address("192.0.2.7".parse().unwrap());
        let remote = all.enter(&Origin::Tls(None), Some(address));
        let nobody = all.seen();
        assert!(
            nobody[0].who.is_some() && nobody[1].who.is_none() && nobody[1].idle > Duration::ZERO
        );

        let token = Identity::Token("nightly".into());
        let first = remote.asks(Some(&token), &"/a.B/First?query".parse().unwrap());
        let long = format!("/{}", "x".repeat(500)).parse().unwrap();
        let second = remote.asks(None, &long);
        let seen = all.seen().remove(1);
        assert_eq!(seen.who, Some(token), "a request of nobody changes nothing");
        assert_eq!(seen.address.map(|address| address.0), Some(address.0));
        let methods: Vec<_> = seen.requests.iter().map(|(method, _)| method.len()).collect();
        assert_eq!((&*seen.requests[0].0, methods), ("a.B/First", vec![9, METHOD_MAX]));
        assert_eq!(seen.idle, Duration::ZERO);
        drop(first);
        assert_eq!(all.seen()[1].requests.len(), 1);
        drop(second);
        assert!(all.seen()[1].idle > Duration::ZERO);

        drop(local);
        assert_eq!(all.seen().len(), 1);
        drop(remote);
        assert!(all.lock().is_empty());
    }
}
