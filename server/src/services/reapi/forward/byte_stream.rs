//! Content in streams.

use onewriter_proto::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse, byte_stream_server::ByteStream,
};
use onewriter_tree::{Reason, RelPath, mutation::Deed};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    super::{
        bad,
        names::{self, Resource},
    },
    Forward, absent, refused,
    upload::Upload,
};
use crate::{
    external::Asking,
    services::{Answers, answers, caller, send},
    status::status,
};

impl Forward {
    /// Refuses what the store does not take, in words that name it.
    async fn check(&self, asking: &Asking, resource: &Resource) -> Result<(), Status> {
        let abilities = self.abilities(asking, resource.digest.function).await?;
        match resource.compressed && !abilities.zstd {
            true => Err(bad("resource_name: the store has no compressed content; use blobs/")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl ByteStream for Forward {
    type ReadStream = Answers<ReadResponse>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let asking = self.permit(&request, Deed::Read).await?;
        let caller = caller(&request, "content");
        let turn = self.engine.turn_to_receive(&caller, &RelPath::ROOT).await.map_err(status)?;
        let mut request = request.into_inner();
        self.check(&asking, &names::to_read(&request.resource_name)?).await?;
        request.resource_name = names::within(self.store.instance(), request.resource_name);
        let mut streams = self.store.streams();
        let answer = streams.read(self.store.streamed(&asking, request));
        let mut pieces = self.store.answer(&asking, answer).await.map_err(refused)?;
        let store = self.store.clone();
        Ok(Response::new(answers(1, asking.deadline(), |to| async move {
            let _turn = turn;
            while let Some(piece) = store.next(&asking, &mut pieces).await.map_err(refused)? {
                send(&to, piece).await?;
            }
            Ok(())
        })))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        let asking = self.permit(&request, Deed::Publish).await?;
        let caller = caller(&request, "content");
        let _turn = self.engine.turn_to_send(&caller, &RelPath::ROOT).await.map_err(status)?;
        let mut pieces = request.into_inner();
        let first = pieces.message().await?;
        let first = first.ok_or_else(|| bad("the stream has no message"))?;
        self.check(&asking, &names::to_write(&first.resource_name)?).await?;
        let upload = Upload::new(first, pieces, self.store.instance());
        upload.send(&self.store, &asking).await.map(Response::new)
    }

    async fn query_write_status(
        &self,
        request: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        let asking = self.permit(&request, Deed::Publish).await?;
        let mut request = request.into_inner();
        self.check(&asking, &names::to_write(&request.resource_name)?).await?;
        request.resource_name = names::within(self.store.instance(), request.resource_name);
        let mut streams = self.store.streams();
        let answer = streams.query_write_status(self.store.unary(&asking, request));
        let answer = self.store.answer(&asking, answer).await;
        answer.map(Response::new).map_err(|fault| absent(fault, Reason::Incomplete))
    }
}
