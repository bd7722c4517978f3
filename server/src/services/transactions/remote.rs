//! Transactions of clients on other machines.
//!
//! Such a client sends what a command has left in an upper directory there; it is put into the upper
//! directory of a transaction here, and committed like any other.

use std::sync::Arc;

use onewriter_core::{
    Caller, Engine,
    policy::{Rights, Slot, Usage},
    transactions::{Fate, Keyed, Transaction},
};
use onewriter_proto::{
    convert,
    v1::{
        RemoteAsk, RemoteBegin, RemoteEntries, RemoteKnown, RemoteRequest, RemoteResponse,
        RemoteWanted, TransactionAbandoned, TransactionBegun, TransactionCommit,
        TransactionCommitted, remote_known, remote_request::Step as In,
        remote_response::Step as Out,
    },
};
use onewriter_tree::{
    RelPath,
    mutation::Deed,
    transaction::{Basis, Filler},
};
use tonic::{Request, Status, Streaming};

use super::{
    bad, content,
    course::{self, Course, Verdict, told},
    entries::{self, Entry, File},
};
use crate::{
    content::{Content, Wanted},
    peer::Terms,
    services::{Sender, blocking, send},
    status::status,
};

/// Entries, and places that were seen, in one message.
const MOST_AT_ONCE: usize = 1_000;

/// Paths that one transaction may say something of: so much has the daemon to keep in memory of it.
const MOST: usize = 200_000;

/// Of how many files it is remembered where their content lies.
const MOST_PLACES: usize = 4_096;

/// One call.
pub(super) struct Call {
    engine: Arc<Engine>,
    content: Arc<Content>,
    course: Course,
    request: Request<()>,
    open: Option<Open>,
}

/// A transaction that is being filled.
struct Open {
    transaction: Transaction,
    key: Keyed,
    caller: Caller,
    /// How long it waits for a turn; 0: as long as others.
    wait_ms: u64,
    filler: Filler,
    basis: Basis,
    /// How many paths it says something of.
    paths: usize,
    /// What came of content.
    usage: Option<Usage>,
    places: Vec<(Wanted, RelPath)>,
}

impl Call {
    pub(super) fn new(engine: Arc<Engine>, content: Arc<Content>, request: Request<()>) -> Self {
        let course = Course::new(Arc::clone(&engine));
        Self { engine, content, course, request, open: None }
    }

    pub(super) async fn serve(
        mut self,
        mut steps: Streaming<RemoteRequest>,
        to: Sender<RemoteResponse>,
    ) -> Result<(), Status> {
        while let Some(request) = steps.message().await? {
            let answer = match (request.step, self.open.take()) {
                (Some(In::Ask(ask)), None) => self.ask(ask).await?,
                (Some(In::Begin(begin)), None) => self.begin(begin).await?,
                (Some(In::Entries(entries)), Some(open)) => {
                    self.fill(open, entries, &mut steps, &to).await?;
                    continue;
                }
                (Some(In::Commit(commit)), Some(open)) => self.commit(open, commit, &to).await?,
                (Some(In::Abandon(abandon)), Some(_)) if !abandon.keep => {
                    self.course.abandoned(abandon.exit_code);
                    Out::Abandoned(TransactionAbandoned::default())
                }
                (None, _) => return Err(bad("step", "the request says nothing")),
                (Some(_), None) => return Err(bad("step", "no transaction is under way")),
                (Some(_), Some(_)) => return Err(bad("step", "it does not come here")),
            };
            send(&to, RemoteResponse { step: Some(answer) }).await?;
        }
        Ok(())
    }

    async fn ask(&self, ask: RemoteAsk) -> Result<Out, Status> {
        let fate = self.engine.fate(&key(&ask.key)?).await.map_err(status)?;
        let (fate, counts) = match fate {
            Fate::Committed(counts) => (remote_known::Fate::Committed, counts),
            Fate::NotCommitted => (remote_known::Fate::NotCommitted, None),
            Fate::Unknown => (remote_known::Fate::Unknown, None),
        };
        let committed = counts.map(|(changed, unchanged)| TransactionCommitted {
            changed,
            unchanged,
            ..TransactionCommitted::default()
        });
        Ok(Out::Known(RemoteKnown { fate: fate.into(), committed }))
    }

    async fn begin(&mut self, begin: RemoteBegin) -> Result<Out, Status> {
        let key = self.engine.key(&key(&begin.key)?).map_err(status)?;
        let mut begin = begin.begin.unwrap_or_default();
        let terms = Terms::of(&self.request, begin.context.take());
        let (caller, wait_ms) = (terms.caller.clone(), begin.wait_ms);
        self.engine.permit_somewhere(&caller, Deed::Change).await.map_err(status)?;
        let transaction = self.course.begin(terms, begin).await?;
        let filler = transaction.filler().map_err(status)?;
        let name = transaction.name().to_owned();
        self.open = Some(Open {
            transaction,
            key,
            filler,
            basis: Basis::default(),
            paths: 0,
            usage: caller.rights.as_ref().map(Rights::usage),
            places: Vec::new(),
            caller,
            wait_ms,
        });
        Ok(Out::Begun(TransactionBegun { name }))
    }

    /// Takes some entries, and the content of those that need it.
    async fn fill(
        &mut self,
        mut open: Open,
        message: RemoteEntries,
        steps: &mut Streaming<RemoteRequest>,
        to: &Sender<RemoteResponse>,
    ) -> Result<(), Status> {
        let entries = self.understood(&mut open, message).await?;
        let (content, rights) = (Arc::clone(&self.content), open.caller.rights.clone());
        let mut filler = open.filler;
        let filled = blocking(move || {
            let wanted = entries::fill(&mut filler, &content, rights.as_deref(), entries)?;
            Ok((filler, wanted))
        });
        let (mut filler, wanted) = filled.await?;
        let _turn = self.turn_to_send(&open.caller, open.wait_ms, wanted.first()).await?;
        let files = wanted.iter().map(|(index, _)| *index).collect();
        let step = Some(Out::Wanted(RemoteWanted { files }));
        send(to, RemoteResponse { step }).await?;
        for (_, file) in wanted {
            let staged =
                content::receive(&self.engine, &open.caller, &mut open.usage, steps, &file).await?;
            filler = put(filler, file.clone(), staged).await?;
            if open.places.len() < MOST_PLACES {
                open.places.push((file.wanted, file.path));
            }
        }
        self.open = Some(Open { filler, ..open });
        Ok(())
    }

    /// A turn to send what is wanted, from `first` on; over with the last of it, so that a transaction
    /// never has one while it waits for anybody but its client.
    async fn turn_to_send(
        &self,
        caller: &Caller,
        wait_ms: u64,
        first: Option<&(u32, File)>,
    ) -> Result<Option<Slot>, Status> {
        let Some((_, file)) = first else { return Ok(None) };
        let caller = Caller { deadline: Some(course::deadline(wait_ms)), ..caller.clone() };
        self.engine.turn_to_send(&caller, &file.path).await.map_err(status)
    }

    /// What the message says, if its sender may have that.
    async fn understood(
        &self,
        open: &mut Open,
        message: RemoteEntries,
    ) -> Result<Vec<Entry>, Status> {
        let RemoteEntries { entries, seen } = message;
        open.paths += entries.len() + seen.len();
        if entries.len().max(seen.len()) > MOST_AT_ONCE {
            return Err(bad("entries", "a message has at most 1,000 entries"));
        }
        if open.paths > MOST {
            return Err(bad(
                "entries",
                "a transaction of another machine has at most 200,000 paths",
            ));
        }
        let entries = entries.into_iter().map(Entry::parse).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(status)?;
        // The commit will be asked for its rights again. Here nobody fills the disk who has none.
        for entry in entries.iter().filter(|entry| !entry.is_passed()) {
            let permitted = self.engine.permit(&open.caller, Deed::Change, &entry.path);
            permitted.await.map_err(status)?;
        }
        for entry in &entries {
            if let Some(seen) = &entry.seen {
                open.basis.insert(entry.path.clone(), seen.clone());
            }
        }
        for place in seen {
            let path = RelPath::parse(&place.path).map_err(status)?;
            let seen = convert::seen(place.seen.unwrap_or_default()).map_err(status)?;
            open.basis.insert(path, seen);
        }
        Ok(entries)
    }

    async fn commit(
        &mut self,
        open: Open,
        commit: TransactionCommit,
        to: &Sender<RemoteResponse>,
    ) -> Result<Out, Status> {
        let Open { transaction, key, mut filler, basis, places, usage, .. } = open;
        blocking(move || filler.finish()).await?;
        let mut terms = course::terms(&commit).map_err(status)?;
        // The files of the upper directory are this daemon's own.
        (terms.basis, terms.copy) = (basis, false);
        let done = transaction.commit_by(key, terms).await;
        drop(usage);
        Ok(match self.course.verdict(done, &commit)? {
            Verdict::Committed(committed) => {
                for (content, path) in places {
                    self.content.places.remember(&content, path);
                }
                for changes in told(&committed, &commit) {
                    send(to, RemoteResponse { step: Some(Out::Changes(changes)) }).await?;
                }
                Out::Committed(course::summary(committed))
            }
            Verdict::Conflicted(conflicted) => Out::Conflicted(conflicted),
        })
    }
}

/// Puts content that came in its place.
async fn put(filler: Filler, file: File, staged: onewriter_tree::Staged) -> Result<Filler, Status> {
    blocking(move || file.put(&filler, staged).map(|()| filler)).await
}

/// A key as it is kept: in digits.
fn key(bytes: &[u8]) -> Result<String, Status> {
    match bytes.len() {
        16..=64 => Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        _ => Err(bad("key", "a key has 16 to 64 bytes")),
    }
}
