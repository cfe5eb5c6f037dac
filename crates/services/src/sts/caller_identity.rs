//! Who am I?

use super::Sts;
use super::shapes::{GetCallerIdentityRequest, GetCallerIdentityResponse};
use crate::{Caller, Error, Op};

impl Sts {
    /// Needs no right: the answer tells a caller nothing that its signature did not prove.
    pub async fn get_caller_identity(
        &self,
        op: &Op,
        _input: GetCallerIdentityRequest,
    ) -> Result<GetCallerIdentityResponse, Error> {
        let account = self.services.config().account.to_string();
        let user_id = match &op.caller {
            Caller::Root { .. } => account.clone(),
            Caller::Role(session) => {
                let role_id = self.services.iam().id_of_role(&session.role_arn)?.unwrap_or_default();
                format!("{role_id}:{}", session.session_name)
            }
        };
        Ok(GetCallerIdentityResponse {
            user_id: Some(user_id),
            account: Some(account),
            arn: Some(self.services.caller_arn(&op.caller).to_string()),
        })
    }
}
