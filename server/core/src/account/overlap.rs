//! Runs in time, and which of them met.

/// From when to when something ran, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begun: i64,
    pub(super) ended: i64,
}

impl Span {
    /// Whether both ran at one moment. One that begins when the other ends does not meet it.
    pub(super) fn meets(self, other: Span) -> bool {
        self.begun < other.ended && other.begun < self.ended
    }
}

/// Something that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Which one.
    pub(super) index: u32,
    pub(super) span: Span,
    /// What belongs together does not count as meeting.
    pub(super) group: u32,
    /// Of two sorts, of which only some pairs matter.
    pub(super) sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// It put something at the path.
    Made,
    /// It would have, and found it there.
    Found,
}

/// Pairs of runs that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairs {
    /// One made it, the other found it.
    MadeAndFound,
    /// Both made it.
    BothMade,
}

/// The first run that met an earlier one, that earlier one, and all others that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meeting {
    pub(super) first: u32,
    pub(super) second: u32,
    pub(super) others: Vec<u32>,
}

/// Who met whom, in the order in which they began. However many runs there are, this looks at each
/// once: of all that began earlier, the one that ended last is met, if any is.
pub(super) fn meeting(runs: &mut [Run], pairs: Pairs) -> Option<Meeting> {
    runs.sort_unstable_by_key(|run| (run.span.begun, run.span.ended, run.index));
    let mut latest = [Latest::default(); 2];
    let mut met: Option<Meeting> = None;
    for run in runs.iter() {
        let partner = match (pairs, run.sort) {
            (Pairs::MadeAndFound, Sort::Made) => Some(Sort::Found),
            (Pairs::MadeAndFound, Sort::Found) | (Pairs::BothMade, Sort::Made) => Some(Sort::Made),
            (Pairs::BothMade, Sort::Found) => None,
        };
        let earlier = partner.and_then(|sort| latest[sort as usize].outside(run.group));
        if let Some(earlier) = earlier.filter(|earlier| earlier.span.meets(run.span)) {
            match &mut met {
                None => {
                    let (first, second) = (earlier.index, run.index);
                    met = Some(Meeting { first, second, others: Vec::new() });
                }
                Some(met) => met.others.push(run.index),
            }
        }
        latest[run.sort as usize].add(*run);
    }
    met
}

/// Of the runs so far, the one that ended last, and the one that did of another group.
#[derive(Clone, Copy, Default)]
struct Latest {
    last: Option<Run>,
    other: Option<Run>,
}

impl Latest {
    fn outside(&self, group: u32) -> Option<Run> {
        self.last.filter(|run| run.group != group).or(self.other)
    }

    fn add(&mut self, run: Run) {
        let is_later = |than: Option<Run>| than.is_none_or(|r| run.span.ended > r.span.ended);
        if is_later(self.last) {
            if self.last.is_some_and(|last| last.group != run.group) {
                self.other = self.last;
            }
            self.last = Some(run);
        } else if self.last.is_some_and(|last| last.group != run.group) && is_later(self.other) {
            self.other = Some(run);
        }
    }
}

/// The most of them at one moment.
pub(super) fn most_at_once(spans: impl Iterator<Item = Span>) -> u32 {
    let mut steps: Vec<(i64, i32)> =
        spans.flat_map(|span| [(span.begun, 1), (span.ended, -1)]).collect();
    // Where one ends as another begins, the end comes first.
    steps.sort_unstable();
    let mut now = 0;
    let most = steps.into_iter().map(|(_, step)| {
        now += step;
        now
    });
    most.max().unwrap_or(0).max(0) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(index: u32, begun: i64, took: i64, group: u32, sort: Sort) -> Run {
        Run { index, span: Span { begun, ended: begun + took }, group, sort }
    }

    fn runs() -> impl Strategy<Value = Vec<Run>> {
        let sort = prop_oneof![Just(Sort::Made), Just(Sort::Found)];
        let one = (0..40_i64, 0..12_i64, 0..6_u32, sort);
        proptest::collection::vec(one, 0..12).prop_map(|runs| {
            let numbered = (0..).zip(runs);
            numbered
                .map(|(i, (begun, took, group, sort))| run(i, begun, took, group, sort))
                .collect()
        })
    }

    fn matters(pairs: Pairs, a: &Run, b: &Run) -> bool {
        let both_made = a.sort == Sort::Made && b.sort == Sort::Made;
        a.group != b.group
            && match pairs {
                Pairs::BothMade => both_made,
                Pairs::MadeAndFound => a.sort != b.sort,
            }
    }

    proptest! {
        #[test]
        fn whoever_meets_an_earlier_one_is_found_and_nobody_else(
            mut runs in runs(),
            pairs in prop_oneof![Just(Pairs::MadeAndFound), Just(Pairs::BothMade)],
        ) {
            let found = meeting(&mut runs, pairs);
            // `runs` are in their order now.
            let met = |at: usize| -> Vec<u32> {
                let earlier = runs[..at].iter();
                let met = earlier.filter(|e| matters(pairs, e, &runs[at]) && e.span.meets(runs[at].span));
                met.map(|e| e.index).collect()
            };
            let expected: Vec<u32> =
                (0..runs.len()).filter(|&at| !met(at).is_empty()).map(|at| runs[at].index).collect();
            let second: Vec<u32> = found
                .iter()
                .flat_map(|m| [m.second].into_iter().chain(m.others.iter().copied()))
                .collect();
            prop_assert_eq!(second, expected);
            if let Some(m) = found {
                let at = runs.iter().position(|run| run.index == m.second).unwrap();
                prop_assert!(met(at).contains(&m.first));
            }
        }

        #[test]
        fn the_most_at_once_are_those_of_some_beginning(runs in runs()) {
            let spans: Vec<_> = runs.iter().map(|r| r.span).filter(|s| s.ended > s.begun).collect();
            let at = |now: i64| spans.iter().filter(|s| s.begun <= now && now < s.ended).count();
            let expected = spans.iter().map(|s| at(s.begun)).max().unwrap_or(0);
            prop_assert_eq!(most_at_once(spans.iter().copied()) as usize, expected);
        }
    }

    #[test]
    fn what_begins_as_another_ends_does_not_meet_it() {
        let span = |begun, ended| Span { begun, ended };
        assert!(!span(0, 5).meets(span(5, 9)) && !span(5, 9).meets(span(0, 5)));
        assert!(span(0, 6).meets(span(5, 9)) && span(0, 9).meets(span(3, 3)));
    }
}
