//! What a policy grants to one identity.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use onewriter_tree::{Printable, RelPath, mutation::Deed};

use super::{Kinds, Limits, Policy, is_meant, kinds, limits::Turnstile, quota::Account};

/// The rights of one identity, and what it has used.
#[derive(Debug)]
pub struct Rights {
    who: Arc<str>,
    names: Vec<String>,
    grants: Vec<Grant>,
    limits: Limits,
    superseded: AtomicBool,
    pub(super) account: Arc<Account>,
    pub(super) turnstile: Arc<Turnstile>,
}

/// A rule, as far as it means this identity.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    rule: String,
    paths: Vec<RelPath>,
    may: Kinds,
}

/// Why somebody may not do what he asked for, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Who asked.
    pub identity: Arc<str>,
    /// The rule that comes nearest, or the limit that was reached.
    pub rule: String,
    /// What would have to change.
    pub cure: String,
}

/// A denial, and what is told of it.
pub(crate) struct Refused {
    pub(crate) denial: Denial,
    pub(crate) what: String,
}

impl Rights {
    pub(super) fn new(who: &str, names: Vec<String>, policy: &Policy) -> Self {
        let limits = policy.limits_of(&names);
        Self {
            who: who.into(),
            grants: policy.grants(&names),
            names,
            account: Arc::new(Account::default()),
            turnstile: Arc::new(Turnstile::new(&limits)),
            limits,
            superseded: AtomicBool::new(false),
        }
    }

    /// The same identity under another policy. Requests that are under way go on to count.
    pub(super) fn under(&self, policy: &Policy) -> Self {
        self.called(self.names.clone(), policy)
    }

    /// The same identity, with other names besides.
    pub(super) fn called(&self, names: Vec<String>, policy: &Policy) -> Self {
        let limits = policy.limits_of(&names);
        let turnstile = match self.turnstile.fits(&limits) {
            true => Arc::clone(&self.turnstile),
            false => Arc::new(Turnstile::new(&limits)),
        };
        Self {
            who: Arc::clone(&self.who),
            grants: policy.grants(&names),
            names,
            account: Arc::clone(&self.account),
            turnstile,
            limits,
            superseded: AtomicBool::new(false),
        }
    }

    /// Has its requests wait with those of the same identity under other names, where as many may.
    pub(super) fn beside(mut self, kin: &Self) -> Self {
        if kin.turnstile.fits(&self.limits) {
            self.turnstile = Arc::clone(&kin.turnstile);
        }
        self
    }

    /// All that a policy may call it.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// What it is called.
    pub fn who(&self) -> &Arc<str> {
        &self.who
    }

    /// Whether they say the same.
    pub(super) fn are_as(&self, others: &Self) -> bool {
        (&self.grants, &self.limits) == (&others.grants, &others.limits)
    }

    /// Others take their place.
    pub(super) fn supersede(&self) {
        self.superseded.store(true, Relaxed);
    }

    /// Whether others took their place since. What has an end of its own may come to that; what has
    /// none must not go on under rights that were taken away.
    pub fn are_superseded(&self) -> bool {
        self.superseded.load(Relaxed)
    }

    /// What it may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether it may do `deed` at `path`.
    pub fn may(&self, deed: Deed, path: &RelPath) -> bool {
        let mut kinds = Kinds::default();
        for grant in &self.grants {
            if grant.paths.iter().any(|top| path.is_within(top)) {
                kinds = kinds.and(grant.may);
            }
        }
        kinds.hold(deed)
    }

    /// Whether it may do `deed` at any path.
    pub fn may_somewhere(&self, deed: Deed) -> bool {
        self.grants.iter().any(|grant| grant.may.hold(deed))
    }

    /// What to say where it may not.
    pub(crate) fn refuse(&self, deed: Deed, path: &RelPath) -> Refused {
        let kind = kinds::name(deed);
        let top = path.components().next().map_or(".".into(), |top| Printable(top).to_string());
        let near = self.grants.iter().find(|grant| grant.may.hold(deed));
        let rule = match near.or(self.grants.first()) {
            Some(Grant { rule, paths, may }) => {
                let shown = |path: &RelPath| match path.is_root() {
                    true => ".".to_owned(),
                    false => Printable(path.as_bytes()).to_string(),
                };
                let paths = paths.iter().map(shown).collect::<Vec<_>>().join(", ");
                format!("{rule} lets it {may} at {paths}")
            }
            None => "no rule names it".to_owned(),
        };
        let cure = format!(
            "whoever runs the daemon can add a rule to its configuration: who = [\"{}\"], \
             paths = [\"{top}\"], may = [\"{kind}\"]",
            self.who
        );
        let what = format!("the policy does not let {} {kind} here; {rule}", self.who);
        Refused { denial: Denial { identity: Arc::clone(&self.who), rule, cure }, what }
    }
}

impl Policy {
    fn grants(&self, names: &[String]) -> Vec<Grant> {
        let means = |who: &[String]| names.iter().any(|name| who.iter().any(|p| is_meant(p, name)));
        let rules = self.rules.iter().filter(|rule| means(&rule.who));
        let grant = |rule: &super::Rule| Grant {
            rule: rule.name.clone(),
            paths: rule.paths.clone(),
            may: rule.may,
        };
        rules.map(grant).collect()
    }

    fn limits_of(&self, names: &[String]) -> Limits {
        let means = |who: &[String]| names.iter().any(|name| who.iter().any(|p| is_meant(p, name)));
        let of = self.limits.iter().filter(|limit| means(&limit.who));
        of.fold(Limits::default(), |known, limit| known.or(&limit.limits)).or(&Limits::DEFAULT)
    }
}
