//! The changes of one command, together or not at all.

mod content;
mod course;
mod entries;
mod remote;

use std::sync::Arc;

use onewriter_core::{Engine, transactions::Transaction};
use onewriter_proto::{
    convert,
    v1::{
        self, RemoteRequest, RemoteResponse, TransactRequest, TransactResponse,
        TransactionAbandoned, TransactionBegin, TransactionBegun, TransactionCommit,
        transact_request::Step as In, transact_response::Step as Out,
    },
};
use onewriter_tree::{Error, Reason};
use tonic::{Request, Response, Status, Streaming, async_trait};

use self::course::{Course, Verdict, told};
use super::{Answers, Sender, answers, send};
use crate::{content::Content, peer::Terms, status::status};

pub(crate) struct Transactions {
    engine: Arc<Engine>,
    content: Arc<Content>,
}

impl Transactions {
    pub(crate) fn new(engine: Arc<Engine>, content: Arc<Content>) -> Self {
        Self { engine, content }
    }
}

#[async_trait]
impl v1::transactions_server::Transactions for Transactions {
    type TransactStream = Answers<TransactResponse>;

    async fn transact(
        &self,
        request: Request<Streaming<TransactRequest>>,
    ) -> Result<Response<Self::TransactStream>, Status> {
        let (request, steps) = super::split(request);
        let course = Course::new(Arc::clone(&self.engine));
        let call = Call { course, request, underway: None };
        Ok(Response::new(answers(1, None, |to| call.serve(steps, to))))
    }

    type TransactRemoteStream = Answers<RemoteResponse>;

    async fn transact_remote(
        &self,
        request: Request<Streaming<RemoteRequest>>,
    ) -> Result<Response<Self::TransactRemoteStream>, Status> {
        let (request, steps) = super::split(request);
        let (engine, content) = (Arc::clone(&self.engine), Arc::clone(&self.content));
        let call = remote::Call::new(engine, content, request);
        Ok(Response::new(answers(1, None, |to| call.serve(steps, to))))
    }
}

/// One call: any number of transactions, one after another.
struct Call {
    course: Course,
    request: Request<()>,
    underway: Option<Transaction>,
}

impl Call {
    async fn serve(
        mut self,
        mut steps: Streaming<TransactRequest>,
        to: Sender<TransactResponse>,
    ) -> Result<(), Status> {
        while let Some(request) = steps.message().await? {
            let answer = match (request.step, self.underway.take()) {
                (Some(In::Begin(begin)), None) => self.begin(begin).await?,
                (Some(In::Commit(commit)), Some(underway)) => {
                    self.commit(underway, commit, &to).await?
                }
                (Some(In::Abandon(abandon)), Some(underway)) => {
                    self.course.abandoned(abandon.exit_code);
                    give_up(underway, abandon.keep).await?
                }
                (None, _) => return Err(bad("step", "the request says nothing")),
                (Some(_), None) => return Err(bad("step", "no transaction is under way")),
                (Some(_), Some(_)) => return Err(bad("begin", "a transaction is under way")),
            };
            send(&to, TransactResponse { step: Some(answer) }).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, mut begin: TransactionBegin) -> Result<Out, Status> {
        let terms = Terms::of(&self.request, begin.context.take());
        if !terms.local {
            let why = "only the daemon's own user on the same machine fills a transaction's \
                       directory; from elsewhere, send what is to be in it (TransactRemote)";
            return Err(status(Error::new(Reason::NotLocal, b".", why)));
        }
        let begun = self.course.begin(terms, begin).await?;
        let name = begun.name().to_owned();
        self.underway = Some(begun);
        Ok(Out::Begun(TransactionBegun { name }))
    }

    async fn commit(
        &mut self,
        underway: Transaction,
        commit: TransactionCommit,
        to: &Sender<TransactResponse>,
    ) -> Result<Out, Status> {
        let terms = course::terms(&commit).map_err(status)?;
        let done = underway.commit(terms).await;
        Ok(match self.course.verdict(done, &commit)? {
            Verdict::Committed(committed) => {
                for changes in told(&committed, &commit) {
                    send(to, TransactResponse { step: Some(Out::Changes(changes)) }).await?;
                }
                Out::Committed(course::summary(committed))
            }
            Verdict::Conflicted(conflicted) => Out::Conflicted(conflicted),
        })
    }
}

async fn give_up(underway: Transaction, keep: bool) -> Result<Out, Status> {
    use std::os::unix::ffi::OsStringExt as _;
    let kept = match keep {
        true => underway.keep().await.map_err(status)?.into_os_string().into_vec(),
        false => Vec::new(),
    };
    Ok(Out::Abandoned(TransactionAbandoned { kept }))
}

fn bad(field: &str, why: &str) -> Status {
    status(convert::bad(field, why))
}
