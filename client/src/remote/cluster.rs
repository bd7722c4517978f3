//! Daemons of which one owns the root, as etcd says: finding that one by the root's name.

use std::{fmt, time::Instant};

use onewriter_proto::etcd::etcdserverpb::{RangeRequest, RangeResponse};

use super::{NoConnection, address::Address, connect_to};
use crate::{
    failure::{Failure, with_sources},
    wire::{CallOptions, Connection, Line, Scheme, Vigil},
};

const RANGE: &str = "/etcdserverpb.KV/Range";

/// How long one of etcd's members may take to answer while there are others, or something else to wait
/// for.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(2);

const SILENT: &str = "check the address of etcd; it is given as etcd://HOST:PORT[,HOST:PORT]/NAME";

const VACANT: &str = "check the name; a daemon takes part with --cluster etcd://HOST:PORT --name NAME, and a root whose owner has died gets another one within seconds";

/// A root in a cluster.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    etcd: Vec<Address>,
    name: String,
}

/// Who owned the root when he was looked for.
pub(super) struct Owner {
    pub(super) address: Address,
    /// Waits for him only as long as he owns it.
    pub(super) tenure: Tenure,
}

/// What tells one owner's time from the next.
#[derive(Debug)]
pub(super) struct Tenure {
    cluster: Cluster,
    since: i64,
}

impl Cluster {
    /// `None` if `text` begins like no such address.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Failure> {
        let Some(rest) = text.strip_prefix("etcd://") else { return Ok(None) };
        let refuse = || {
            let what = "a root of a cluster is etcd://HOST:PORT[,HOST:PORT]/NAME";
            Failure::Usage(format!("{what}, not '{text}'"))
        };
        let (hosts, name) = rest.split_once('/').ok_or_else(refuse)?;
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_good) {
            return Err(refuse());
        }
        let etcd = hosts.split(',').map(Address::of_etcd).collect::<Option<Vec<_>>>();
        Ok(Some(Self { etcd: etcd.ok_or_else(refuse)?, name: name.to_owned() }))
    }

    /// Who owns the root now.
    pub(super) fn owner(&self, deadline: Instant) -> Result<Owner, NoConnection> {
        let (address, since) = self.ask(deadline)?.ok_or_else(|| {
            let message = format!("nobody owns '{self}' at this moment");
            NoConnection::Absent(Failure::Barred { message, hint: VACANT })
        })?;
        let parsed = Address::parse(&address).ok().flatten().ok_or_else(|| {
            let message = format!("the owner of '{self}' has no address: '{address}'");
            NoConnection::Refused(Failure::Barred { message, hint: VACANT })
        })?;
        Ok(Owner { address: parsed, tenure: Tenure { cluster: self.clone(), since } })
    }

    /// The owner's address, and since which revision of etcd's he is it.
    fn ask(&self, deadline: Instant) -> Result<Option<(String, i64)>, NoConnection> {
        let mut last = None;
        for member in &self.etcd {
            match self.ask_one(member, deadline.min(Instant::now() + LIMIT)) {
                Ok(answer) => return Ok(answer),
                Err(why) => last = Some((member, why)),
            }
        }
        let (member, why) = last.expect("there is one");
        let message = format!("etcd at '{}' does not answer: {why}", member.authority());
        Err(NoConnection::Absent(Failure::Barred { message, hint: SILENT }))
    }

    fn ask_one(
        &self,
        member: &Address,
        deadline: Instant,
    ) -> Result<Option<(String, i64)>, String> {
        let socket = connect_to(member, deadline).map_err(|error| match error {
            NoConnection::Absent(failure) | NoConnection::Refused(failure) => failure.to_string(),
        })?;
        let line = Line::Plain(socket);
        let mut connection = Connection::with_origin(line, Scheme::Http, member.authority());
        let left = deadline.saturating_duration_since(Instant::now());
        let options = CallOptions { timeout: Some(left), ..CallOptions::default() };
        let key = format!("/onewriter/roots/{}/owner", self.name).into_bytes();
        let request = RangeRequest { key, ..RangeRequest::default() };
        let answer: RangeResponse =
            connection.unary(RANGE, &request, &options).map_err(|error| with_sources(&error))?;
        let owner = answer.kvs.into_iter().next();
        Ok(owner.map(|owner| {
            let text = String::from_utf8_lossy(&owner.value).into_owned();
            (text.lines().next().unwrap_or_default().to_owned(), owner.create_revision)
        }))
    }
}

impl Vigil for Tenure {
    /// While etcd does not answer, nobody knows.
    fn is_over(&mut self) -> bool {
        let answer = self.cluster.ask(Instant::now() + LIMIT);
        answer.is_ok_and(|owner| owner.is_none_or(|(_, since)| since != self.since))
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let etcd: Vec<_> = self.etcd.iter().map(Address::authority).collect();
        write!(f, "etcd://{}/{}", etcd.join(","), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_of_a_cluster_has_hosts_and_a_name() {
        for text in ["etcd://127.0.0.1:2379/tree", "etcd://a.example:1,[::1]:2/a.b-c_1"] {
            assert_eq!(Cluster::parse(text).unwrap().unwrap().to_string(), text);
        }
        assert!(Cluster::parse("https://host:1").unwrap().is_none());
        for text in [
            "etcd://",
            "etcd://host:1",
            "etcd://host:1/",
            "etcd://host/tree",
            "etcd://host:1,/tree",
            "etcd://host:1/a/b",
            "etcd://host:0/tree",
        ] {
            assert!(matches!(Cluster::parse(text), Err(Failure::Usage(_))), "{text}");
        }
    }
}
