//! Results of actions.

use onewriter_proto::reapi::{
    ActionResult, GetActionResultRequest, UpdateActionResultRequest,
    action_cache_server::ActionCache,
};
use onewriter_tree::{Reason, mutation::Deed};
use tonic::{Request, Response, Status, async_trait};

use super::{super::function, Forward, absent};

#[async_trait]
impl ActionCache for Forward {
    async fn get_action_result(
        &self,
        request: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        let asking = self.permit(&request, Deed::Read).await?;
        let mut request = request.into_inner();
        self.abilities(&asking, function(request.digest_function)?).await?;
        request.instance_name = self.instance(request.instance_name);
        let mut results = self.store.results();
        let answer = results.get_action_result(self.store.unary(&asking, request));
        let answer = self.store.answer(&asking, answer).await;
        answer.map(Response::new).map_err(|fault| absent(fault, Reason::NotFound))
    }

    async fn update_action_result(
        &self,
        request: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        let asking = self.permit(&request, Deed::Publish).await?;
        let mut request = request.into_inner();
        self.abilities(&asking, function(request.digest_function)?).await?;
        request.instance_name = self.instance(request.instance_name);
        let mut results = self.store.results();
        let answer = results.update_action_result(self.store.unary(&asking, request));
        let answer = self.store.answer(&asking, answer).await;
        answer.map(Response::new).map_err(|fault| absent(fault, Reason::NotFound))
    }
}
