//! The services, where an external store keeps content and results: every request goes there, and
//! the answer comes back, piece by piece. The daemon decides who may ask, and what a request means;
//! all else is the store's.
//!
//! A request that names an instance goes to that instance of the store; one that names none goes to
//! the one of the daemon's setting.

mod action_cache;
mod byte_stream;
mod capabilities;
mod storage;
mod upload;

use std::sync::Arc;

use onewriter_core::Engine;
use onewriter_store::Function;
use onewriter_tree::{Reason, mutation::Deed};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::{bad, permit, refusal::refuse};
use crate::external::{Abilities, Asking, External, StoreFault};

/// The services.
#[derive(Clone)]
pub(super) struct Forward {
    pub(super) engine: Arc<Engine>,
    pub(super) store: Arc<External>,
}

impl Forward {
    /// On whose behalf the store is to be asked, if he may do `deed`.
    async fn permit<T>(&self, request: &Request<T>, deed: Deed) -> Result<Asking, Status> {
        permit(&self.engine, request, deed).await?;
        Ok(Asking::of(request.metadata()))
    }

    /// What the store can do, which is to include this function.
    async fn abilities(
        &self,
        asking: &Asking,
        function: Function,
    ) -> Result<Arc<Abilities>, Status> {
        let abilities = self.store.abilities(asking).await.map_err(refused)?;
        if !abilities.functions.contains(&function) {
            let known: Vec<_> = abilities.functions.iter().map(|known| known.name()).collect();
            return Err(bad(format!(
                "digest_function: the store knows no {}, but {}",
                function.name(),
                known.join(" and ")
            )));
        }
        Ok(abilities)
    }

    /// The instance that is meant by one who names this.
    fn instance(&self, named: String) -> String {
        if named.is_empty() { self.store.instance().to_owned() } else { named }
    }
}

/// What a client is told of a store that did not do it. What the store itself says of the request is
/// given on as it is.
fn refused(fault: StoreFault) -> Status {
    absent(fault, Reason::MissingBlob)
}

/// The same, where what is not there has this reason.
fn absent(fault: StoreFault, reason: Reason) -> Status {
    let (text, otherwise) = (fault.to_string(), fault.reason());
    let Some(said) = fault.refusal() else {
        return refuse(code(otherwise), otherwise, text);
    };
    let mut details = said.get_error_details();
    let domain = onewriter_proto::ERROR_DOMAIN;
    // Another onewriterd has said it in our words.
    if details.error_info().is_none_or(|info| info.domain != domain) {
        let reason = if said.code() == Code::NotFound { reason } else { otherwise };
        details.set_error_info(reason.as_str(), domain, std::collections::HashMap::new());
    }
    Status::with_error_details(said.code(), text, details)
}

fn code(reason: Reason) -> Code {
    crate::status::status(onewriter_tree::Error::new(reason, b".", "")).code()
}
