//! HPACK's static table (RFC 7541, appendix A).

/// Name and value; the entry with index `n` is at `n - 1`.
pub(super) const STATIC_TABLE: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Indices of the entries that a request refers to.
pub(super) mod index {
    pub(crate) const AUTHORITY: usize = 1;
    pub(crate) const METHOD_POST: usize = 3;
    pub(crate) const PATH: usize = 4;
    pub(crate) const SCHEME_HTTP: usize = 6;
    pub(crate) const SCHEME_HTTPS: usize = 7;
    pub(crate) const CONTENT_TYPE: usize = 31;
    pub(crate) const USER_AGENT: usize = 58;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_indices_point_where_they_say() {
        let entry = |index: usize| STATIC_TABLE[index - 1];
        assert_eq!(entry(index::AUTHORITY).0, ":authority");
        assert_eq!(entry(index::METHOD_POST), (":method", "POST"));
        assert_eq!(entry(index::PATH).0, ":path");
        assert_eq!(entry(index::SCHEME_HTTP), (":scheme", "http"));
        assert_eq!(entry(index::SCHEME_HTTPS), (":scheme", "https"));
        assert_eq!(entry(index::CONTENT_TYPE).0, "content-type");
        assert_eq!(entry(index::USER_AGENT).0, "user-agent");
        assert_eq!(entry(61).0, "www-authenticate");
    }
}
