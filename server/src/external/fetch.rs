//! Content of the store on its way into staging.

use std::{sync::Arc, time::Instant};

use onewriter_proto::bytestream::ReadRequest;
use onewriter_store::{Digest, Function};
use onewriter_tree::{Staged, Staging};
use tonic::Code;

use super::{Asking, External, StoreFault, fault::Kind};
use crate::content::Inflow;

/// How often a content that the store breaks off is asked for, at most.
const ATTEMPTS: usize = 8;

/// A content that comes.
struct Coming {
    digest: Digest,
    inflow: Inflow,
    /// How much has come, in bytes.
    taken: u64,
}

impl External {
    /// The content in staging, if the store has it. It is hashed while it is written, and nothing is
    /// left of what turns out to be something else. Where the store breaks off, it is asked for the
    /// rest, as long as more comes each time.
    pub(crate) async fn fetch(
        &self,
        staging: &Arc<Staging>,
        digest: Digest,
        deadline: Option<Instant>,
    ) -> Result<Option<Staged>, StoreFault> {
        let asking = Asking::until(deadline);
        if !self.abilities(&asking).await?.functions.contains(&digest.function) {
            return Ok(None);
        }
        let here = |errno| self.fault(Kind::Here(errno));
        let staged = staging.create_own().map_err(here)?;
        let inflow = Inflow::new(&staged, Some(digest.function)).map_err(here)?;
        let mut coming = Coming { digest, inflow, taken: 0 };
        let mut broke_off = None;
        for attempt in 1.. {
            match self.read_on(&asking, &mut coming).await {
                Ok(true) => break,
                Ok(false) => return Ok(None),
                Err(fault) => {
                    let stands_still = broke_off.replace(coming.taken) == Some(coming.taken);
                    if !fault.kind().is_passing() || stands_still || attempt == ATTEMPTS {
                        return Err(fault);
                    }
                }
            }
        }
        let (size, found) = coming.inflow.end().await.map_err(here)?;
        let lie = match found {
            Some(found) if found == digest => return Ok(Some(staged)),
            _ if size != digest.size => format!("{size} bytes"),
            _ => "other content".to_owned(),
        };
        Err(self.fault(Kind::Lied(digest, lie)))
    }

    /// Takes what the store has behind what has come, to its end; `false` if it has not got it.
    async fn read_on(&self, asking: &Asking, coming: &mut Coming) -> Result<bool, StoreFault> {
        let request = ReadRequest {
            resource_name: resource(self.instance(), &coming.digest),
            read_offset: i64::try_from(coming.taken).unwrap_or(i64::MAX),
            read_limit: 0,
        };
        let mut streams = self.streams();
        let answer = streams.read(self.streamed(asking, request));
        let mut pieces = match self.answer(asking, answer).await {
            Err(fault) if is_absent(&fault) => return Ok(false),
            answer => answer?,
        };
        loop {
            let piece = match self.next(asking, &mut pieces).await {
                // tonic's servers say so at the end of an empty stream.
                Err(fault) if is_absent(&fault) => return Ok(false),
                piece => piece?,
            };
            let Some(piece) = piece else { return Ok(true) };
            coming.taken += piece.data.len() as u64;
            if coming.taken > coming.digest.size {
                let lie = "more than its bytes".to_owned();
                return Err(self.fault(Kind::Lied(coming.digest, lie)));
            }
            let pushed = coming.inflow.push(piece.data, None).await;
            pushed.map_err(|errno| self.fault(Kind::Here(errno)))?;
        }
    }
}

fn is_absent(fault: &StoreFault) -> bool {
    fault.refusal().is_some_and(|status| status.code() == Code::NotFound)
}

/// What the content is called in a stream.
fn resource(instance: &str, digest: &Digest) -> String {
    let slash = if instance.is_empty() { "" } else { "/" };
    // SHA-256 is what is meant where no function is named, which is all that older stores know.
    let function = match digest.function {
        Function::Sha256 => String::new(),
        other => format!("{}/", other.name()),
    };
    format!("{instance}{slash}blobs/{function}{digest}")
}
