//! The table against a model of it, step by step, over random histories.
//!
//! The model keeps a plain list for each key, in the order of arrival, and says who holds a key by
//! the rule alone: the first if it is exclusive, else all before the first exclusive one. After
//! every step the table must show the same holders and waiters in the same order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const PATHS: [&str; 6] = ["a", "a/b", "a/b/c", "a/d", "e", "e/f"];

type Claims = Vec<(&'static str, Access)>;

#[derive(Clone, Debug)]
enum Step {
    /// A new request enters, and goes as far as it can.
    Ask(Claims),
    /// A new request takes all at once or nothing.
    Try(Claims),
    /// A waiting request goes on, if it was granted what it waits for.
    Resume(usize),
    /// A waiting request goes away, granted or not.
    Cancel(usize),
    /// A holder gives up its set.
    Release(usize),
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let access = prop_oneof![Just(SHARED), Just(EXCLUSIVE)];
    prop::collection::vec((prop::sample::select(&PATHS), access), 1..4)
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_claims().prop_map(Step::Ask),
        1 => any_claims().prop_map(Step::Try),
        3 => any::<usize>().prop_map(Step::Resume),
        2 => any::<usize>().prop_map(Step::Cancel),
        3 => any::<usize>().prop_map(Step::Release),
    ]
}

/// What the table should hold.
#[derive(Default)]
struct Model {
    queues: BTreeMap<&'static str, Vec<(u32, Access)>>,
    /// What each request wants, completed, and how many of those queues it has entered.
    requests: BTreeMap<u32, (Claims, usize)>,
}

/// The claims with their ancestors, each path once, in order.
fn completed(claims: &[(&'static str, Access)]) -> Claims {
    let mut complete = BTreeMap::new();
    for &(path, access) in claims {
        for above in PATHS.iter().filter(|above| path.starts_with(&format!("{above}/"))) {
            complete.entry(*above).or_insert(SHARED);
        }
        let entry = complete.entry(path).or_insert(access);
        if access == EXCLUSIVE {
            *entry = EXCLUSIVE;
        }
    }
    complete.into_iter().collect()
}

fn holder_count(queue: &[(u32, Access)]) -> usize {
    match queue {
        [(_, EXCLUSIVE), ..] => 1,
        _ => queue.iter().take_while(|(_, access)| *access == SHARED).count(),
    }
}

impl Model {
    fn ask(&mut self, pid: u32, claims: &[(&'static str, Access)]) -> bool {
        self.requests.insert(pid, (completed(claims), 0));
        self.advance(pid)
    }

    /// Whether the request has its whole set, after it has gone as far as it can.
    fn advance(&mut self, pid: u32) -> bool {
        let (claims, entered) = self.requests.get_mut(&pid).unwrap();
        loop {
            if let Some((path, _)) = entered.checked_sub(1).map(|last| claims[last]) {
                let queue = &self.queues[path];
                if !queue[..holder_count(queue)].iter().any(|(holder, _)| *holder == pid) {
                    return false;
                }
            }
            let Some(&(path, access)) = claims.get(*entered) else { return true };
            self.queues.entry(path).or_default().push((pid, access));
            *entered += 1;
        }
    }

    fn leave(&mut self, pid: u32) {
        self.requests.remove(&pid);
        for queue in self.queues.values_mut() {
            queue.retain(|(other, _)| *other != pid);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
    }

    fn shown(&self) -> Vec<(String, Vec<u32>, Vec<u32>)> {
        let show = |(path, queue): (&&str, &Vec<(u32, Access)>)| {
            let pids: Vec<u32> = queue.iter().map(|(pid, _)| *pid).collect();
            let (holders, waiters) = pids.split_at(holder_count(queue));
            (path.to_string(), holders.to_vec(), waiters.to_vec())
        };
        self.queues.iter().map(show).collect()
    }
}

/// The table and the model, driven alike.
#[derive(Default)]
struct Pair {
    table: Arc<LockTable>,
    model: Model,
    next_pid: u32,
    waiting: Vec<Request>,
    held: Vec<(u32, LockGuard)>,
}

impl Pair {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Ask(claims) => self.ask(&claims),
            Step::Try(claims) => self.try_lock(&claims),
            Step::Resume(pick) => {
                if let Some(request) = take(&mut self.waiting, pick) {
                    let expected = self.model.advance(request.pid);
                    self.resume(request, expected);
                }
            }
            Step::Cancel(pick) => {
                if let Some(request) = take(&mut self.waiting, pick) {
                    self.model.leave(request.pid);
                }
            }
            Step::Release(pick) => {
                if let Some((pid, _guard)) = take(&mut self.held, pick) {
                    self.model.leave(pid);
                }
            }
        }
        self.check();
    }

    fn ask(&mut self, claims: &[(&'static str, Access)]) {
        self.next_pid += 1;
        let expected = self.model.ask(self.next_pid, claims);
        let request = Request::new(&self.table, self.next_pid, set(claims), None);
        self.resume(request, expected);
    }

    fn try_lock(&mut self, claims: &[(&'static str, Access)]) {
        self.next_pid += 1;
        let guard = self.table.try_acquire(set(claims), owner(self.next_pid));
        assert_eq!(guard.is_some(), self.model.ask(self.next_pid, claims));
        match guard {
            Some(guard) => self.held.push((self.next_pid, guard)),
            None => self.model.leave(self.next_pid),
        }
    }

    fn resume(&mut self, mut request: Request, expected: bool) {
        let result = request.poll();
        assert_eq!(result.is_some(), expected, "request {}", request.pid);
        match result {
            Some(result) => self.held.push((request.pid, result.unwrap())),
            None => self.waiting.push(request),
        }
    }

    fn check(&self) {
        let shown: Vec<_> = self
            .table
            .snapshot()
            .into_iter()
            .map(|status| {
                let (holders, waiters) = (status.holders.iter(), status.waiters.iter());
                let holders = holders.map(|holder| holder.owner.pid).collect::<Vec<_>>();
                let waiters = waiters.map(|waiter| waiter.owner.pid).collect::<Vec<_>>();
                (status.key.to_string(), holders, waiters)
            })
            .collect();
        assert_eq!(shown, self.model.shown());
        let counters = self.table.counters();
        assert_eq!(counters.holders, self.held.len() as u64);
        assert_eq!(counters.waiters, self.waiting.len() as u64);
    }

    /// Nobody waits for ever: with every holder letting go, all get their turn.
    fn drain(&mut self) {
        while !self.waiting.is_empty() {
            let before = self.waiting.len();
            while !self.held.is_empty() {
                self.apply(Step::Release(0));
            }
            for _ in 0..before {
                self.apply(Step::Resume(0));
            }
            assert!(self.waiting.len() < before, "stuck: {:#?}", self.table.snapshot());
        }
        self.held.clear();
        assert_idle(&self.table);
    }
}

fn take<T>(list: &mut Vec<T>, pick: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(pick % list.len()))
}

proptest! {
    #[test]
    fn the_table_does_what_the_model_does(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut pair = Pair::default();
        for step in steps {
            pair.apply(step);
        }
        pair.drain();
    }
}
