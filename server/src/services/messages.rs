//! The messages of a stream that carries content, without a copy of it.
//!
//! tonic gathers a stream in a buffer of its own, and moves what is in there when it learns how long
//! the next message is: twice the content goes through the processor, more than all else that is done
//! about it. Here a message is a part of what HTTP/2 has brought, wherever it came in one piece.

use std::{
    collections::VecDeque,
    future::poll_fn,
    marker::PhantomData,
    pin::{Pin, pin},
};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::body::Body as _;
use prost::Message;
use tonic::{Code, Status, Streaming, body::Body};

use super::MAX_MESSAGE;

/// What gRPC puts before each message: a flag, and the message's length.
const PREFIX: usize = 5;

/// A stream of messages.
pub(crate) trait Messages<M>: Send {
    /// The next message; `None` at the end.
    fn message(&mut self) -> impl Future<Output = Result<Option<M>, Status>> + Send;
}

impl<M: Send> Messages<M> for Streaming<M> {
    async fn message(&mut self) -> Result<Option<M>, Status> {
        Streaming::message(self).await
    }
}

/// The messages in the body of a request.
pub(crate) struct Uncopied<M> {
    body: Body,
    came: Came,
    message: PhantomData<fn() -> M>,
}

impl<M> Uncopied<M> {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, came: Came::default(), message: PhantomData }
    }
}

impl<M: Message + Default> Messages<M> for Uncopied<M> {
    async fn message(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some(message) = self.came.message()? {
                let malformed = |e: prost::DecodeError| Status::internal(e.to_string());
                return M::decode(message).map(Some).map_err(malformed);
            }
            let mut body = pin!(&mut self.body);
            match poll_fn(|cx| Pin::as_mut(&mut body).poll_frame(cx)).await {
                Some(Ok(frame)) => frame.into_data().map_or((), |data| self.came.push(data)),
                None if self.came.length == 0 => return Ok(None),
                None => return Err(Status::internal("the stream ended within a message")),
                // The client has gone away.
                Some(Err(status)) if status.code() == Code::Cancelled => return Ok(None),
                Some(Err(status)) => return Err(status),
            }
        }
    }
}

/// What has come and is not taken yet.
#[derive(Default)]
struct Came {
    parts: VecDeque<Bytes>,
    length: usize,
}

impl Came {
    fn push(&mut self, part: Bytes) {
        self.length += part.len();
        if !part.is_empty() {
            self.parts.push_back(part);
        }
    }

    /// The next message, if all of it is there.
    fn message(&mut self) -> Result<Option<Bytes>, Status> {
        let Some([flag, length @ ..]) = self.prefix() else { return Ok(None) };
        let length = u32::from_be_bytes(length) as usize;
        if flag != 0 {
            return Err(Status::unimplemented("a compressed message, which nobody asked for"));
        }
        if length > MAX_MESSAGE {
            let what = format!("a message has at most {MAX_MESSAGE} bytes, not {length}");
            return Err(Status::out_of_range(what));
        }
        if self.length < PREFIX + length {
            return Ok(None);
        }
        self.take(PREFIX);
        Ok(Some(self.take(length)))
    }

    fn prefix(&self) -> Option<[u8; PREFIX]> {
        let mut bytes = self.parts.iter().flatten().copied();
        let prefix = std::array::from_fn(|_| bytes.next());
        prefix.iter().all(Option::is_some).then(|| prefix.map(Option::unwrap_or_default))
    }

    /// So many bytes of what is there; a copy only if they came in several parts.
    fn take(&mut self, length: usize) -> Bytes {
        self.length -= length;
        let mut gathered = BytesMut::new();
        loop {
            let Some(part) = self.parts.front_mut() else { return gathered.freeze() };
            let wanted = length - gathered.len();
            let taken = part.split_to(wanted.min(part.len()));
            if !part.has_remaining() {
                self.parts.pop_front();
            }
            if taken.len() == length {
                return taken;
            }
            gathered.reserve(wanted);
            gathered.extend_from_slice(&taken);
            if gathered.len() == length {
                return gathered.freeze();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(messages: &[&[u8]]) -> Vec<u8> {
        let framed =
            |message: &&[u8]| [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat();
        messages.iter().flat_map(framed).collect()
    }

    #[test]
    fn messages_come_in_any_parts() {
        let messages: [&[u8]; 4] = [b"one", b"", b"a longer one", b"x"];
        let stream = framed(&messages);
        for size in 1..=stream.len() {
            let mut came = Came::default();
            let mut found = Vec::new();
            for part in stream.chunks(size) {
                came.push(Bytes::copy_from_slice(part));
                while let Some(message) = came.message().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, messages, "in parts of {size}");
            assert_eq!((came.length, came.parts.len()), (0, 0));
        }
    }

    #[test]
    fn what_came_in_one_piece_is_not_copied() {
        let piece = Bytes::from(framed(&[b"content", b"more"]));
        let mut came = Came::default();
        came.push(piece.clone());
        for at in [PREFIX, 2 * PREFIX + 7] {
            let message = came.message().unwrap().unwrap();
            assert_eq!(message.as_ptr(), piece[at..].as_ptr());
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (prefix, code) in [
            ([1, 0, 0, 0, 1], Code::Unimplemented),
            ([0, 0, 64, 0, 1], Code::OutOfRange),
            ([0, 255, 255, 255, 255], Code::OutOfRange),
        ] {
            let mut came = Came::default();
            came.push(Bytes::copy_from_slice(&prefix));
            assert_eq!(came.message().unwrap_err().code(), code, "{prefix:?}");
        }
    }
}
