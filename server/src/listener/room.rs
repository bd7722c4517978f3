//! How much one connection may have under way, and send before anybody takes it.
//!
//! What has come for a stream that nobody reads yet, since it waits for its turn, takes its part of the
//! connection's window. If all streams that may wait could fill that, those that have their turn would
//! get no more content, would never end, and nobody's turn would ever come.

use hyper::server::conn::http2::Builder;

/// The largest frame, in bytes: it takes half a megabyte of content and what a message says around it.
const FRAME: u32 = 513 << 10;

/// Limits of a connection.
pub(super) struct Room {
    /// Requests under way.
    streams: u32,
    /// Flow control windows, in bytes: of a stream, and of all of them together.
    stream: u32,
    connection: u32,
}

impl Room {
    /// For those who never wait for a turn: content travels at memory speed, and little of it waits.
    pub(super) const FREE: Self = Self { streams: 1024, stream: 4 << 20, connection: 8 << 20 };

    /// For those who may have to: all streams have room at once. Bazel has a hundred to a connection.
    pub(super) const IN_TURN: Self = Self { streams: 128, stream: 1 << 20, connection: 128 << 20 };

    /// Has a connection keep to it.
    pub(super) fn limit<E>(&self, builder: &mut Builder<E>) {
        builder
            .initial_stream_window_size(self.stream)
            .initial_connection_window_size(self.connection)
            .max_frame_size(FRAME)
            .max_concurrent_streams(self.streams);
    }
}

const _: () = assert!(Room::IN_TURN.connection / Room::IN_TURN.streams >= Room::IN_TURN.stream);
