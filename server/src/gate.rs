//! Who is let in, and with which rights. Nothing of a request is looked at before.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use hyper::{HeaderMap, header::AUTHORIZATION};
use onewriter_core::policy::{Book, Policy, Rights};
use onewriter_tree::{Error, Reason};
use rustix::process::geteuid;
use tonic::Status;

use crate::{identity::Identity, seldom::Seldom, status::status, tokens::Tokens};

/// What a token comes after; in any case of letters.
const BEARER: &[u8] = b"bearer ";

/// How somebody came, and what that says of him.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// By the Unix socket: the kernel knows him.
    Unix(Identity),
    /// By TLS, perhaps with a certificate in that name.
    Tls(Option<Arc<str>>),
    /// By TCP in clear text, from this machine.
    Loopback,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(who) => who.fmt(f),
            Self::Tls(Some(name)) => write!(f, "cert:{name}"),
            Self::Tls(None) => f.write_str("TLS"),
            Self::Loopback => f.write_str("loopback"),
        }
    }
}

/// Who was let in.
pub(crate) struct Admitted {
    pub(crate) who: Identity,
    /// What he may do; `None`: everything.
    pub(crate) rights: Option<Arc<Rights>>,
}

/// Decides who is let in.
pub(crate) struct Gate {
    /// The daemon's own user, who may do everything to files that are his anyway.
    owner: u32,
    tokens: RwLock<Option<Arc<Tokens>>>,
    book: Book,
    /// Whether other users of this machine are asked what they may do.
    guards_local: AtomicBool,
    told: Seldom,
}

impl Gate {
    pub(crate) fn new(policy: Policy, tokens: Option<Tokens>) -> Arc<Self> {
        let gate = Self {
            owner: geteuid().as_raw(),
            tokens: RwLock::default(),
            book: Book::default(),
            guards_local: AtomicBool::default(),
            told: Seldom::default(),
        };
        gate.replace(policy, tokens);
        Arc::new(gate)
    }

    /// Has these hold for all requests that come from now on.
    pub(crate) fn replace(&self, policy: Policy, tokens: Option<Tokens>) {
        self.guards_local.store(!policy.rules.is_empty(), Relaxed);
        self.book.replace(policy);
        let mut known = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() != tokens.as_ref() {
            *known = tokens.map(Arc::new);
            self.book.expire();
        }
    }

    /// Whether whoever came so may do everything, whatever the policy is or becomes.
    pub(crate) fn is_free(&self, origin: &Origin) -> bool {
        matches!(origin, Origin::Unix(who) if who.is_user(self.owner))
    }

    /// Who asks on a connection with these headers.
    pub(crate) fn admit(&self, origin: &Origin, headers: &HeaderMap) -> Result<Admitted, Status> {
        let who = match origin {
            Origin::Unix(who) => {
                let is_free = self.is_free(origin) || !self.guards_local.load(Relaxed);
                let rights = (!is_free).then(|| self.rights(who));
                return Ok(Admitted { who: who.clone(), rights });
            }
            Origin::Tls(certified) => {
                self.remote(headers, certified.clone().map(Identity::Certificate))
            }
            Origin::Loopback => self.remote(headers, self.anybody()),
        };
        let who = who.map_err(|why| self.unknown(origin, why))?;
        let rights = Some(self.rights(&who));
        Ok(Admitted { who, rights })
    }

    fn rights(&self, who: &Identity) -> Arc<Rights> {
        self.book.rights(&who.to_string(), who.names())
    }

    /// Whom a token names; without one, who it is anyway.
    fn remote(
        &self,
        headers: &HeaderMap,
        otherwise: Option<Identity>,
    ) -> Result<Identity, &'static str> {
        let Some(said) = headers.get(AUTHORIZATION) else {
            return otherwise.ok_or("the request has neither a client certificate nor a token");
        };
        let token = said.as_bytes().split_at_checked(BEARER.len());
        let token =
            token.filter(|(how, _)| how.eq_ignore_ascii_case(BEARER)).map(|(_, token)| token);
        let token = token.ok_or("`authorization` is not `Bearer TOKEN`")?;
        let owner = self.tokens().and_then(|tokens| tokens.owner(token));
        owner.map(Identity::Token).ok_or("the token is none that the daemon knows")
    }

    /// Who comes in clear text, where nobody has tokens.
    fn anybody(&self) -> Option<Identity> {
        self.tokens().is_none().then_some(Identity::Loopback)
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn unknown(&self, origin: &Origin, why: &'static str) -> Status {
        if self.told.may_tell() {
            tracing::warn!(%origin, why, "somebody unknown was not let in");
        }
        let what = format!(
            "the daemon does not know who asks: {why}; show a certificate that its authority has \
             signed, or a token of its list"
        );
        status(Error::new(Reason::Unauthenticated, b".", what))
    }
}

#[cfg(test)]
mod tests {
    use onewriter_core::policy::{Kinds, Rule};
    use onewriter_tree::RelPath;
    use tonic::Code;

    use super::*;

    fn gate(rules: Vec<Rule>) -> Arc<Gate> {
        Gate::new(Policy { rules, limits: Vec::new() }, None)
    }

    fn rule(who: &str) -> Rule {
        Rule {
            name: "rule".into(),
            who: vec![who.into()],
            paths: vec![RelPath::ROOT],
            may: Kinds::ALL,
        }
    }

    fn local(uid: u32) -> Origin {
        Origin::Unix(Identity::Local { pid: 1, uid, gid: 2 })
    }

    #[test]
    fn the_daemons_own_user_is_never_asked() {
        let ours = geteuid().as_raw();
        for rules in [vec![], vec![rule("cert:x")]] {
            let admitted = gate(rules).admit(&local(ours), &HeaderMap::new()).unwrap();
            assert!(admitted.rights.is_none());
        }
    }

    #[test]
    fn other_users_are_asked_where_there_are_rules() {
        let other = local(geteuid().as_raw() + 1);
        let headers = HeaderMap::new();
        assert!(gate(vec![]).admit(&other, &headers).unwrap().rights.is_none());
        let gate = gate(vec![rule("gid:2")]);
        let rights = gate.admit(&other, &headers).unwrap().rights.unwrap();
        assert!(rights.may(onewriter_tree::mutation::Deed::Read, &RelPath::ROOT));
    }

    #[test]
    fn nobody_comes_from_afar_without_a_name() {
        let gate = gate(vec![rule("*")]);
        let unknown = gate.admit(&Origin::Tls(None), &HeaderMap::new());
        assert_eq!(unknown.err().unwrap().code(), Code::Unauthenticated);
        let known = gate.admit(&Origin::Tls(Some("c".into())), &HeaderMap::new()).unwrap();
        assert_eq!(known.who, Identity::Certificate("c".into()));
        for said in ["Bearer x", "Basic x", "bearer", ""] {
            let headers = [(AUTHORIZATION, said.parse().unwrap())].into_iter().collect();
            let refused = gate.admit(&Origin::Tls(Some("c".into())), &headers);
            assert_eq!(refused.err().unwrap().code(), Code::Unauthenticated, "{said}");
        }
    }
}
