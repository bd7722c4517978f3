//! HTTP/2 frames (RFC 9113, section 4): the nine bytes before each payload, and the few
//! payloads that are plain numbers.

/// What a client says first on a connection (section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head.
pub(super) const HEAD: usize = 9;

/// The payload that every peer takes before it has said otherwise, and the least it may name.
pub(super) const DEFAULT_MAX_PAYLOAD: usize = 16_384;

/// The window that every stream and the connection begin with before anybody has said otherwise.
pub(super) const DEFAULT_WINDOW: i64 = 65_535;

/// No window may grow past this.
pub(super) const MAX_WINDOW: i64 = 0x7fff_ffff;

/// Frame types (section 6).
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Frame flags. ACK and END_STREAM are the same bit of different frame types.
pub(super) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// Settings (section 6.5.2).
pub(super) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
}

/// Error codes that this client sends or tells apart (section 7).
pub(super) mod error {
    pub(crate) const REFUSED_STREAM: u32 = 7;
    pub(crate) const CANCEL: u32 = 8;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
    pub(crate) const INADEQUATE_SECURITY: u32 = 12;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of payload that follow; at most 2^24 - 1.
    pub(super) length: usize,
    /// One of [`kind`], or a type that is to be ignored.
    pub(super) kind: u8,
    /// A union of [`flag`]s.
    pub(super) flags: u8,
    /// 0 is the connection itself.
    pub(super) stream: u32,
}

impl Head {
    /// Reads the head that `bytes` begin with; `None` if they are too few.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let &[l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEAD>()?;
        Some(Self {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            stream: stream_id([s0, s1, s2, s3]),
        })
    }

    /// The nine bytes.
    pub(super) fn to_bytes(self) -> [u8; HEAD] {
        let [_, l0, l1, l2] = (self.length as u32).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A stream identifier without the bit that is reserved.
pub(super) fn stream_id(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

/// Appends a whole frame to `out`.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&Head { length: payload.len(), kind, flags, stream }.to_bytes());
    out.extend_from_slice(payload);
}

/// Appends a SETTINGS frame to `out`.
pub(super) fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let head = Head { length: 6 * settings.len(), kind: kind::SETTINGS, flags: 0, stream: 0 };
    out.extend_from_slice(&head.to_bytes());
    for (name, value) in settings {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// The settings that a SETTINGS payload holds; `None` if it is not a whole number of them.
pub(super) fn settings(payload: &[u8]) -> Option<impl Iterator<Item = (u16, u32)> + '_> {
    let (settings, rest) = payload.as_chunks::<6>();
    rest.is_empty().then(|| {
        settings.iter().map(|&[n0, n1, v0, v1, v2, v3]| {
            (u16::from_be_bytes([n0, n1]), u32::from_be_bytes([v0, v1, v2, v3]))
        })
    })
}

/// Takes padding (and, for HEADERS, the outdated priority) off a payload; `None` if it claims more
/// than there is.
pub(super) fn unpad(head: Head, payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload;
    let mut padding = 0;
    if head.has(flag::PADDED) {
        let (&length, after) = rest.split_first()?;
        (padding, rest) = (usize::from(length), after);
    }
    if head.kind == kind::HEADERS && head.has(flag::PRIORITY) {
        rest = rest.get(5..)?;
    }
    rest.get(..rest.len().checked_sub(padding)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_the_round_trip() {
        let head = Head { length: 0x01_02_03, kind: kind::DATA, flags: 9, stream: 0x7fff_fffe };
        assert_eq!(Head::parse(&head.to_bytes()), Some(head));
        assert_eq!(Head::parse(&head.to_bytes()[..8]), None);
    }

    #[test]
    fn the_reserved_bit_is_ignored() {
        let head = Head::parse(&[0, 0, 0, 0, 0, 0x80, 0, 0, 5]).unwrap();
        assert_eq!(head.stream, 5);
    }

    #[test]
    fn settings_survive_the_round_trip() {
        let wanted = [(setting::ENABLE_PUSH, 0), (setting::INITIAL_WINDOW_SIZE, 0x0102_0304)];
        let mut out = Vec::new();
        put_settings(&mut out, &wanted);
        assert_eq!(Head::parse(&out).unwrap().length, out.len() - HEAD);
        assert_eq!(settings(&out[HEAD..]).unwrap().collect::<Vec<_>>(), wanted);
        assert!(settings(&out[HEAD..out.len() - 1]).is_none());
    }

    #[test]
    fn padding_and_priority_come_off() {
        let head = |flags| Head { length: 0, kind: kind::HEADERS, flags, stream: 1 };
        assert_eq!(unpad(head(0), b"ab"), Some(&b"ab"[..]));
        assert_eq!(unpad(head(flag::PADDED), b"\x02ab\0\0"), Some(&b"ab"[..]));
        assert_eq!(unpad(head(flag::PADDED), b"\x02ab"), Some(&b""[..]));
        assert_eq!(unpad(head(flag::PADDED), b"\x03ab"), None);
        assert_eq!(unpad(head(flag::PADDED), b""), None);
        let both = head(flag::PADDED | flag::PRIORITY);
        assert_eq!(unpad(both, b"\x01\0\0\0\0\x10ab\0"), Some(&b"ab"[..]));
        assert_eq!(unpad(head(flag::PRIORITY), b"\0\0\0\0"), None);
    }
}
