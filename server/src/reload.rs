//! Reading policy and tokens again while the daemon runs.

use std::{convert::Infallible, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::Config,
    gate::Gate,
    launch::{self, AnyError},
    tokens::{Tokens, TokensError},
};

/// The tokens that `config` names.
pub(crate) fn tokens(config: &Config) -> Result<Option<Tokens>, TokensError> {
    let network = config.network.as_ref();
    network.and_then(|network| network.tokens.as_deref()).map(Tokens::read).transpose()
}

/// Reads them again at each SIGHUP from this moment on. Whatever is wrong with them is logged, and the
/// old ones go on to hold. It never returns.
pub(crate) fn at_each_hangup(
    config: &Config,
    gate: &Arc<Gate>,
) -> impl Future<Output = Infallible> {
    let hangups = signal(SignalKind::hangup());
    async move {
        let Ok(mut hangups) = hangups else { return std::future::pending().await };
        loop {
            hangups.recv().await;
            match reload(config, gate) {
                Ok(rules) => tracing::info!(rules, "the policy was read again"),
                Err(error) => {
                    let cause = launch::in_one_line(&*error);
                    tracing::error!(cause, "the policy was not read again: the old one holds");
                }
            }
        }
    }
}

fn reload(config: &Config, gate: &Gate) -> Result<usize, AnyError> {
    let config = config.reload()?;
    let (policy, tokens) = (config.policy()?, tokens(&config)?);
    let rules = policy.rules.len();
    gate.replace(policy, tokens);
    Ok(rules)
}
