//! Whatever is asked in whatever order: what is held together fits together, nobody waits for
//! nothing, and nobody waits for ever.

use proptest::prelude::*;

use super::*;

/// One step of somebody: takes a lease under his last one, or gives his last one up.
#[derive(Clone, Debug)]
enum Step {
    Take { who: usize, what: usize, shared: bool },
    End { who: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let take = (0..4usize, 0..5usize, any::<bool>()).prop_map(|(who, what, shared)| Step::Take {
        who,
        what,
        shared,
    });
    let end = (0..4usize).prop_map(|who| Step::End { who });
    proptest::collection::vec(prop_oneof![2 => take, 1 => end], 1..40)
}

#[derive(Default)]
struct Actor {
    held: Vec<Held>,
    waiting: Option<Request>,
}

impl Actor {
    /// Whether it goes on.
    fn poll(&mut self) -> bool {
        let Some(done) = self.waiting.as_mut().and_then(Request::poll) else { return false };
        self.waiting = None;
        self.held.extend(done);
        true
    }
}

fn check_held(table: &LeaseTable) {
    let held: Vec<_> = table.snapshot().into_iter().filter(|s| !s.holders.is_empty()).collect();
    for status in &held {
        let alone = status.holders.iter().any(|h| h.holding.access == EXCLUSIVE);
        let strangers = status
            .holders
            .iter()
            .any(|h| h.holding.owner.pid != status.holders[0].holding.owner.pid);
        assert!(!(alone && strangers), "{status:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_one_waits_for_ever(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let subjects = [path("a"), path("a/b"), path("c"), path("."), name("n")];
        let table = LeaseTable::new(1);
        let mut actors: Vec<Actor> = (0..4).map(|_| Actor::default()).collect();
        for step in steps {
            match step {
                Step::Take { who, what, shared } if actors[who].waiting.is_none() => {
                    let under: Vec<Token> = actors[who].held.iter().map(Held::token).collect();
                    let access = if shared { SHARED } else { EXCLUSIVE };
                    let claim = claim(subjects[what].clone(), access);
                    let request = Request::new(&table, wanted(who as u32, claim, &under));
                    actors[who].waiting = Some(request);
                    actors[who].poll();
                }
                // Who waits cannot end what he runs under.
                Step::End { who } if actors[who].waiting.is_none() => {
                    actors[who].held.pop();
                }
                _ => {}
            }
            while actors.iter_mut().any(Actor::poll) {}
            check_held(&table);
        }
        // Everybody who does not wait gives up what he has, again and again: all are served.
        for _ in 0..100 {
            while actors.iter_mut().any(Actor::poll) {}
            for actor in &mut actors {
                if actor.waiting.is_none() {
                    actor.held.clear();
                }
            }
        }
        prop_assert!(actors.iter().all(|actor| actor.waiting.is_none()), "{:#?}", table.snapshot());
        prop_assert!(table.snapshot().is_empty());
    }
}
