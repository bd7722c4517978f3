//! Content on its way to a daemon that cannot open it.
//!
//! The digest goes first: a daemon that has the content already does not want it.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use bytes::{Bytes, BytesMut};
use onewriter_proto::v1::{
    self, MutationResponse, Publication, PublishBegin, PublishFinish, PublishStreamRequest,
    PublishStreamResponse, publish_stream_request::Step as Out,
    publish_stream_response::Step as In,
};
use onewriter_tree::{Error, Reason};
use prost::Message as _;
use rustix::fs::{Mode, OFlags, open};

use crate::{
    context::Context,
    failure::Failure,
    server::Server,
    verbs::stat,
    wire::{Call, CallError, Excerpt, Line, Stage},
};

const METHOD: &str = "/onewriter.v1.Mutations/PublishStream";

/// A good size for a message of content, in bytes. Twice as much takes a fifth longer: what is on
/// its way through client and daemon does not stay in the processor's cache then.
pub(crate) const CHUNK: usize = 128 * 1024;

/// A good size where the content does not pass through the client, in bytes. The daemon takes it in
/// one frame; a quarter of it takes a tenth longer.
const EXCERPT: usize = 512 * 1024;

/// Publishes the file `source`.
pub(crate) fn file(
    context: &mut Context,
    server: &Server,
    to: &Publication,
    source: &OsStr,
) -> Result<MutationResponse, Failure> {
    let refuse = |why: &str| {
        let error = Error::new(Reason::Source, &to.path, why);
        Failure::from(error.at(source.as_encoded_bytes()))
    };
    let opened = open_source(source);
    let opened = opened.map_err(|errno| refuse(&format!("cannot be read: {errno}")))?;
    let found = opened.metadata().map_err(|error| refuse(&format!("cannot be read: {error}")))?;
    if !found.is_file() {
        return Err(refuse("is not a regular file"));
    }
    content(context, server, to, opened, Some(found.permissions().mode() & 0o777))
}

/// Opens a file to be published. A fifo is there to be refused, not waited for.
pub(crate) fn open_source(source: &OsStr) -> rustix::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(source, flags, Mode::empty()).map(File::from)
}

/// Publishes the file `source`, and then removes it.
pub(crate) fn used_up(
    context: &mut Context,
    server: &Server,
    to: &Publication,
    source: &OsStr,
) -> Result<MutationResponse, Failure> {
    let going = not_there_already(context, server, &[(source, &to.path)])?;
    let done = file(context, server, to, source)?;
    going.into_iter().try_for_each(remove_source)?;
    Ok(done)
}

/// Which of these sources are not what is there already, where they are to be published: to remove
/// one that is would be to remove what was published.
pub(crate) fn not_there_already<'s>(
    context: &mut Context,
    server: &Server,
    pairs: &[(&'s OsStr, &[u8])],
) -> Result<Vec<&'s OsStr>, Failure> {
    let paths = pairs.iter().map(|(_, to)| to.to_vec()).collect();
    let there = stat::ask(context, server, paths, false)?;
    let others = pairs.iter().zip(there).filter(|((source, _), there)| !is_it(source, there));
    Ok(others.map(|((source, _), _)| *source).collect())
}

/// Whether `there` describes `source`, which the daemon may see on another device, from elsewhere.
fn is_it(source: &OsStr, there: &v1::Stat) -> bool {
    let (Ok(found), Some(mtime)) = (Path::new(source).symlink_metadata(), there.mtime) else {
        return false;
    };
    (found.ino(), found.len()) == (there.inode, there.size)
        && (found.mtime(), found.mtime_nsec()) == (mtime.seconds, mtime.nanoseconds.into())
}

/// Publishes all of an open file.
pub(crate) fn content(
    context: &mut Context,
    server: &Server,
    to: &Publication,
    mut file: File,
    source_mode: Option<u32>,
) -> Result<MutationResponse, Failure> {
    let mut hasher = blake3::Hasher::new();
    let hashed = file.rewind().and_then(|()| hasher.update_reader(&file).map(drop));
    hashed.map_err(|error| unreadable(&error))?;
    let digest = hasher.finalize();
    let begin = begin(context, server, to, Some(digest), source_mode);
    let mut session = context.session(server)?;
    let mut unread = None;
    let done = session.stream_again(METHOD, |call| {
        call.send(&step(Out::Begin(begin.clone())))?;
        if let Some(PublishStreamResponse { step: Some(In::Done(done)) }) = call.recv()? {
            return Ok(Some(done));
        }
        // From the beginning, each time; nobody else moves in this file.
        send(call, &mut Source { file: &file, at: Some(0) }, &mut unread)
    })?;
    answer(done, unread)
}

/// Publishes what comes through a pipe, which cannot come again; or the rest of a file.
pub(crate) fn pipe(
    context: &mut Context,
    server: &Server,
    to: &Publication,
    mut input: File,
) -> Result<MutationResponse, Failure> {
    let is_file = input.metadata().is_ok_and(|found| found.is_file());
    let at = is_file.then(|| input.stream_position().unwrap_or(0));
    let begin = begin(context, server, to, None, None);
    let mut session = context.session(server)?;
    let (mut unread, mut taken) = (None, false);
    let done = session.stream_once(METHOD, |call| {
        call.send(&step(Out::Begin(begin.clone())))?;
        // The rest alone must not be published.
        if std::mem::replace(&mut taken, true) {
            return Err(CallError::Closed { at: Stage::Answered });
        }
        let mut source = Source { file: &input, at };
        let done = send(call, &mut source, &mut unread)?;
        // Whoever shares the file goes on behind what was taken.
        source.at.map(|at| (&input).seek(SeekFrom::Start(at)));
        Ok(done)
    })?;
    answer(done, unread)
}

/// Publishes what comes through a pipe, when all of it has come: so its digest can go first, and it
/// can be sent again.
pub(crate) fn spooled(
    context: &mut Context,
    server: &Server,
    to: &Publication,
    mut input: impl Read,
) -> Result<MutationResponse, Failure> {
    let directory = std::env::temp_dir();
    let fail = |error: &dyn std::fmt::Display| {
        let directory = directory.display();
        Failure::Io(format!("standard input cannot be kept in '{directory}' (TMPDIR): {error}"))
    };
    let mut file = unnamed(&directory).map_err(|errno| fail(&errno))?;
    std::io::copy(&mut input, &mut file).map_err(|error| fail(&error))?;
    file.flush().map_err(|error| fail(&error))?;
    content(context, server, to, file, None)
}

fn unnamed(directory: &Path) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    open(directory, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Removes a source that was to be used up.
#[expect(clippy::disallowed_methods, reason = "the source may lie outside of any build root")]
pub(crate) fn remove_source(source: &OsStr) -> Result<(), Failure> {
    std::fs::remove_file(source).map_err(|e| {
        Failure::Io(format!("'{}' was published but cannot be removed: {e}", source.display()))
    })
}

fn begin(
    context: &mut Context,
    server: &Server,
    to: &Publication,
    digest: Option<blake3::Hash>,
    source_mode: Option<u32>,
) -> PublishBegin {
    PublishBegin {
        context: Some(v1::Context {
            idempotency_key: server.key_to(to),
            ..context.request(server)
        }),
        to: Some(Publication { source_mode: source_mode.or(to.source_mode), ..to.clone() }),
        blake3: digest.map(|digest| digest.as_bytes().to_vec()),
    }
}

/// Where content comes from.
struct Source<'f> {
    file: &'f File,
    /// In a regular file, from where on. Where the file itself stands, does not matter then.
    at: Option<u64>,
}

impl Source<'_> {
    /// Sends what a regular file has, as far as its size is known. How much that was, in bytes.
    fn send_pages(&mut self, call: &mut Call<'_, Line>) -> Result<u64, CallError> {
        let (Some(at), Ok(found)) = (&mut self.at, self.file.metadata()) else { return Ok(0) };
        let begin = *at;
        while *at < found.len() && !call.has_ended() {
            let length = usize::try_from(found.len() - *at).unwrap_or(EXCERPT).min(EXCERPT);
            call.send_excerpt(&chunk_of(length), Excerpt { file: self.file, at: *at, length })?;
            *at += length as u64;
        }
        Ok(*at - begin)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(at) = &mut self.at else { return self.file.read(buffer) };
        let n = self.file.read_at(buffer, *at)?;
        *at += n as u64;
        Ok(n)
    }
}

/// The beginning of a message that goes on with so many bytes of content.
fn chunk_of(length: usize) -> Vec<u8> {
    // It ends with the content's length, which is 0 here.
    let mut message = step(Out::Chunk(Bytes::new())).encode_to_vec();
    message.pop();
    prost::encoding::encode_varint(length as u64, &mut message);
    message
}

/// Sends all that can be read, and waits for the answer. Where reading fails, that is `unread`, and
/// there is no answer.
fn send(
    call: &mut Call<'_, Line>,
    source: &mut Source<'_>,
    unread: &mut Option<std::io::Error>,
) -> Result<Option<MutationResponse>, CallError> {
    let mut size = source.send_pages(call)?;
    // A file may have more than its size says: as one that grows, or one of /proc.
    let mut buffer = BytesMut::zeroed(CHUNK);
    loop {
        let n = match fill(source, &mut buffer) {
            Ok(n) => n,
            Err(error) => {
                *unread = Some(error);
                return Ok(None);
            }
        };
        size += n as u64;
        if n == 0 || call.has_ended() {
            break;
        }
        let chunk = buffer.freeze();
        call.send(&step(Out::Chunk(chunk.slice(..n))))?;
        // The memory comes back when the message is gone: fresh pages would cost as much as
        // the content that is written to them.
        buffer = chunk.try_into_mut().unwrap_or_else(|_| BytesMut::zeroed(CHUNK));
    }
    call.send_last(&step(Out::Finish(PublishFinish { size })))?;
    loop {
        match call.recv::<PublishStreamResponse>()? {
            Some(PublishStreamResponse { step: Some(In::Done(done)) }) => return Ok(Some(done)),
            Some(_) => {}
            None => return Err(CallError::Protocol("a publish ended without a result")),
        }
    }
}

fn step(step: Out) -> PublishStreamRequest {
    PublishStreamRequest { step: Some(step) }
}

fn answer(
    done: Option<MutationResponse>,
    unread: Option<std::io::Error>,
) -> Result<MutationResponse, Failure> {
    match (done, unread) {
        (Some(done), _) => Ok(done),
        (None, Some(error)) => Err(unreadable(&error)),
        (None, None) => Err(Failure::Broken("a publish ended without a result".into())),
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::Io(format!("the content cannot be read: {error}"))
}

/// Reads until the buffer is full or the input ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match source.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}
