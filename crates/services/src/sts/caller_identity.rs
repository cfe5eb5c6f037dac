//! Who am I?

use super::Sts;
use super::shapes::{GetCallerIdentityRequest, GetCallerIdentityResponse};
use crate::{Error, Op};

impl Sts {
    /// Needs no right: the answer tells a caller nothing that its signature did not prove.
    pub async fn get_caller_identity(
        &self,
        op: &Op,
        _input: GetCallerIdentityRequest,
    ) -> Result<GetCallerIdentityResponse, Error> {
        Ok(GetCallerIdentityResponse {
            user_id: Some(self.services.caller_id(&op.caller)?),
            account: Some(self.services.config().account.to_string()),
            arn: Some(self.services.caller_arn(&op.caller).to_string()),
        })
    }
}
