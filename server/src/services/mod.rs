//! The gRPC services: convert, call the core, convert.

mod administration;
mod mutations;
mod publish_stream;
mod reading;

use std::{pin::Pin, sync::Arc};

use onewriter_core::Engine;
use onewriter_proto::{
    DESCRIPTORS,
    v1::{
        administration_server::AdministrationServer, mutations_server::MutationsServer,
        reading_server::ReadingServer,
    },
};
use tokio_stream::Stream;
use tonic::{
    Status,
    service::{Routes, interceptor::InterceptedService},
};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};

use self::{administration::Administration, mutations::Mutations, reading::Reading};
use crate::{daemon::Lifecycle, peer::check_version};

/// The largest message that is accepted, in bytes. Content travels in streams.
const MAX_MESSAGE: usize = 4 << 20;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// All services of the daemon, for any number of connections.
pub(crate) fn routes(engine: &Arc<Engine>, lifecycle: &Arc<Lifecycle>) -> Routes {
    let mutations = MutationsServer::new(Mutations::new(Arc::clone(engine)));
    let reading = ReadingServer::new(Reading::new(Arc::clone(engine)));
    let administration = Administration::new(Arc::clone(engine), Arc::clone(lifecycle));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the checked-in descriptors are well formed");
    Routes::new(InterceptedService::new(
        mutations.max_decoding_message_size(MAX_MESSAGE),
        check_version,
    ))
    .add_service(InterceptedService::new(reading, check_version))
    .add_service(AdministrationServer::new(administration))
    .add_service(HealthServer::new(HealthService::from_health_reporter(lifecycle.health().clone())))
    .add_service(reflection)
}
