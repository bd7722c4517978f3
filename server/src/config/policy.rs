//! The policy, as the configuration file has it.

use std::collections::BTreeMap;

use onewriter_core::policy::{Kinds, LEAST_QUEUED, Limit, Limits, Policy, Rule};
use onewriter_tree::RelPath;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Settings};

/// `[[rules]]`: who may do what, where.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuleEntry {
    /// Identities (`cert:NAME`, `token:NAME`, `uid:1000`, `gid:100`, `loopback`; `*` at the end stands for
    /// any rest) and groups.
    pub who: Vec<String>,
    /// Paths below the root, `.` for all of it.
    pub paths: Vec<String>,
    /// Kinds of deeds.
    pub may: Vec<String>,
}

/// `[[limits]]`: how much of it. The first entry that says something of an identity counts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LimitEntry {
    /// As in a rule; each of them for itself.
    pub who: Vec<String>,
    /// Requests that are served at once, and as many streams of content each way.
    pub requests: Option<usize>,
    /// Requests that may wait for their turn.
    pub waiting: Option<usize>,
    /// Content that has arrived and waits for the disk, in bytes.
    pub queued_bytes: Option<usize>,
    /// Content that may be put in place in a window, in bytes.
    pub bytes: Option<u64>,
    /// Names that may be made in a window.
    pub files: Option<u64>,
    /// The window's length in seconds.
    pub window: Option<u64>,
}

/// Names that begin so are those of identities; all others are of groups.
const KINDS_OF_IDENTITIES: [&str; 4] = ["cert:", "token:", "uid:", "gid:"];

/// The policy that `settings` describe.
pub(super) fn policy(settings: &Settings) -> Result<Policy, ConfigError> {
    let groups = &settings.groups;
    for (name, members) in groups {
        let place = format!("groups.{name}");
        if is_identity(name) {
            return Err(wrong(&place, "is what an identity is called, too"));
        }
        if let Some(group) = members.iter().find(|member| !is_identity(member)) {
            return Err(wrong(&place, &format!("`{group}` is no identity, as in `cert:{group}`")));
        }
    }
    let allowed = settings.allow.iter().map(|who| {
        let who = identities("--allow", std::slice::from_ref(who), groups)?;
        Ok(Rule { name: "--allow".into(), who, paths: vec![RelPath::ROOT], may: Kinds::ALL })
    });
    let rules = settings.rules.iter().enumerate().map(|(n, entry)| rule(n, entry, groups));
    let limits = settings.limits.iter().enumerate().map(|(n, entry)| limit(n, entry, groups));
    Ok(Policy {
        rules: allowed.chain(rules).collect::<Result<_, _>>()?,
        limits: limits.collect::<Result<_, _>>()?,
    })
}

type Groups = BTreeMap<String, Vec<String>>;

fn rule(n: usize, entry: &RuleEntry, groups: &Groups) -> Result<Rule, ConfigError> {
    let name = format!("rules[{n}]");
    let who = identities(&format!("{name}.who"), &entry.who, groups)?;
    let may = Kinds::named(entry.may.iter().map(String::as_str))
        .map_err(|unknown| wrong(&format!("{name}.may"), &unknown.to_string()))?;
    if may.is_empty() || entry.paths.is_empty() {
        return Err(wrong(&name, "allows nothing: it needs both `paths` and `may`"));
    }
    let path = |path: &String| {
        RelPath::parse(path.as_bytes())
            .map_err(|error| wrong(&format!("{name}.paths"), &error.to_string()))
    };
    Ok(Rule { paths: entry.paths.iter().map(path).collect::<Result<_, _>>()?, name, who, may })
}

fn limit(n: usize, entry: &LimitEntry, groups: &Groups) -> Result<Limit, ConfigError> {
    let name = format!("limits[{n}]");
    let who = identities(&format!("{name}.who"), &entry.who, groups)?;
    let LimitEntry { requests, waiting, queued_bytes, bytes, files, window, .. } = *entry;
    if requests == Some(0) || window == Some(0) {
        return Err(wrong(&name, "lets nobody do anything: 0 is too little"));
    }
    if queued_bytes.is_some_and(|bytes| bytes < LEAST_QUEUED) {
        let why = format!("is too little for a stream: at least {LEAST_QUEUED}");
        return Err(wrong(&format!("{name}.queued-bytes"), &why));
    }
    Ok(Limit { who, limits: Limits { requests, waiting, queued_bytes, bytes, files, window } })
}

/// All identities that `who` means.
fn identities(place: &str, who: &[String], groups: &Groups) -> Result<Vec<String>, ConfigError> {
    let mut all = Vec::new();
    for name in who {
        match groups.get(name) {
            Some(members) => all.extend(members.iter().cloned()),
            None if is_identity(name) => all.push(name.clone()),
            None => {
                let why = format!(
                    "`{name}` is no group, and no identity, which would be `cert:NAME`, \
                     `token:NAME`, `uid:NUMBER`, `gid:NUMBER`, `loopback` or `*`"
                );
                return Err(wrong(place, &why));
            }
        }
    }
    if all.is_empty() {
        return Err(wrong(place, "names nobody"));
    }
    Ok(all)
}

fn is_identity(name: &str) -> bool {
    let begins = |kind: &&str| name.len() > kind.len() && name.starts_with(kind);
    matches!(name, "*" | "loopback") || KINDS_OF_IDENTITIES.iter().any(begins)
}

fn wrong(place: &str, what: &str) -> ConfigError {
    ConfigError::Policy { place: place.to_owned(), what: what.to_owned() }
}
