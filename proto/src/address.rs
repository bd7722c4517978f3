//! Hosts and ports, as all addresses of servers end.

use std::net::IpAddr;

/// Host and port of `HOST:PORT`; the host is a name, or a number without its brackets.
///
/// # Errors
/// What is wrong with `text`, to be put behind it.
pub fn host_and_port(text: &str) -> Result<(&str, u16), &'static str> {
    let split = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.rsplit_once(':').filter(|(host, _)| !host.contains(':')),
    };
    let (host, port) =
        split.filter(|(host, _)| !host.is_empty()).ok_or("has no port after its host")?;
    let port = port.parse().ok().filter(|port| *port != 0);
    Ok((host, port.ok_or("has no port that there is")?))
}

/// Host and port as HTTP has them.
pub fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Whether the host is this machine whatever anybody says: only there anything goes in clear text.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
