//! Where an external content store is.

use std::{fmt, str::FromStr};

use super::server_at::ServerAt;

/// `grpcs://HOST:PORT[/INSTANCE]`, or `grpc://` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    at: ServerAt,
    instance: String,
}

/// The longest name of an instance, in bytes, so that names of contents in it keep to their limit.
const MAX_INSTANCE: usize = 512;

/// Parts of a name of a content, which none of its instance may be.
const RESERVED: [&str; 9] = [
    "blobs",
    "uploads",
    "actions",
    "actionResults",
    "operations",
    "capabilities",
    "compressed-blobs",
    "",
    "..",
];

impl StoreUrl {
    pub(crate) fn at(&self) -> &ServerAt {
        &self.at
    }

    /// The store's own division that is meant; empty where it has none.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| {
            Err(format!(
                "a store's address is grpcs://HOST:PORT or grpcs://HOST:PORT/INSTANCE, on this machine also grpc://: {why}"
            ))
        };
        let (rest, tls) = match (text.strip_prefix("grpcs://"), text.strip_prefix("grpc://")) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => return refuse(&format!("'{text}' begins like none")),
        };
        let (place, instance) = rest.split_once('/').unwrap_or((rest, ""));
        let instance = instance.strip_suffix('/').unwrap_or(instance);
        let is_reserved = |part: &str| RESERVED.contains(&part) || part.contains(['?', '#']);
        if instance.len() > MAX_INSTANCE
            || !instance.is_empty() && instance.split('/').any(is_reserved)
        {
            return refuse(&format!("'{instance}' cannot be an instance"));
        }
        match ServerAt::parse(place, tls) {
            Ok(at) => Ok(Self { at, instance: instance.to_owned() }),
            Err(why) => refuse(&why),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.at.tls { "grpcs" } else { "grpc" };
        write!(f, "{scheme}://{}", self.at)?;
        if self.instance.is_empty() { Ok(()) } else { write!(f, "/{}", self.instance) }
    }
}

as_text!(StoreUrl);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_a_port_and_perhaps_an_instance() {
        for (text, authority, instance) in [
            ("grpcs://cas.example:9092", "cas.example:9092", ""),
            ("grpcs://cas.example:9092/", "cas.example:9092", ""),
            ("grpcs://cas.example:9092/main", "cas.example:9092", "main"),
            ("grpcs://[2001:db8::1]:1/a/b", "[2001:db8::1]:1", "a/b"),
            ("grpc://127.0.0.1:8980", "127.0.0.1:8980", ""),
            ("grpc://localhost:8980/x", "localhost:8980", "x"),
            ("grpc://[::1]:8980", "[::1]:8980", ""),
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!((&*url.at().to_string(), url.instance()), (authority, instance));
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_before_anything_is_sent() {
        for text in [
            "",
            "cas.example:9092",
            "https://cas.example:9092",
            "grpcs://cas.example",
            "grpcs://cas.example:0",
            "grpcs://:9092",
            "grpcs://user@cas.example:9092",
            "grpcs://cas.example:9092//x",
            "grpcs://cas.example:9092/a/blobs/b",
            "grpcs://cas.example:9092/a?b",
            "grpc://192.0.2.1:9092",
            "grpc://cas.example:9092",
            "grpc://localhost.example:9092",
        ] {
            assert!(text.parse::<StoreUrl>().is_err(), "{text}");
        }
    }
}
