//! A connection of somebody who signed for it, as MQTT over WebSocket does: IAM's policies judge it, not IoT's.
//!
//! The root may do everything. A session of a role may do what the role's policies, and its own, allow at the moment: who
//! holds such a connection asks again whenever something in IAM has changed, and once the credentials have expired.

use std::time::Duration;

use domain::admission::Refusal;
use domain::iot_policy::IotAction;
use tokio::sync::watch;

use crate::admission::Refused;
use crate::authorization::Verdict;
use crate::messages::Origin;
use crate::{Caller, Error, Op, Services, Via, random};

/// Whose connection it is, and how it came.
#[derive(Clone, Debug)]
pub struct Signer {
    pub caller: Caller,
    pub via: Via,
}

/// What a signer's will would do.
#[derive(Clone, Copy, Debug)]
pub struct WillOfSigner<'a> {
    pub topic: &'a str,
    pub retain: bool,
}

#[derive(Debug)]
pub struct AdmittedSigner {
    /// As AWS names the caller in events: `<role id>:<session name>`, the account for its root.
    pub principal: String,
    /// Changes whenever something in IAM does.
    pub changes: watch::Receiver<u64>,
}

impl Services {
    /// On CONNECT. On `Err` the connection closes without CONNACK, as one with a certificate does.
    pub async fn connect_signed(
        &self,
        signer: &Signer,
        client_id: &str,
        will: Option<WillOfSigner<'_>>,
    ) -> Result<AdmittedSigner, Refused> {
        let admitted = self.admit_signed(signer, client_id, will);
        if let Err(Refused { refusal: Refusal::IamDoesNotAllow { .. }, .. }) = &admitted {
            let principal = self.caller_id(&signer.caller).ok();
            let origin = Origin { client_id: Some(client_id.to_owned()), principal, ..Origin::default() };
            self.announce_connect_failed(&origin, signer.via.source_ip).await;
        }
        admitted
    }

    /// `changes` is there before anything is judged, so that no change is missed.
    fn admit_signed(
        &self,
        signer: &Signer,
        client_id: &str,
        will: Option<WillOfSigner<'_>>,
    ) -> Result<AdmittedSigner, Refused> {
        let refused = |refusal| Refused { refusal, ca: None, status: None };
        let changes = self.inner.iam_changes.subscribe();
        self.signer_stands(signer).map_err(refused)?;
        self.judge_signer(signer, IotAction::Connect, client_id).map_err(refused)?;
        if let Some(will) = will {
            self.judge_signer(signer, IotAction::Publish, will.topic).map_err(refused)?;
            if will.retain {
                self.judge_signer(signer, IotAction::RetainPublish, will.topic).map_err(refused)?;
            }
        }
        let principal = self.caller_id(&signer.caller).map_err(|err| refused(Refusal::Internal(err.message)))?;
        Ok(AdmittedSigner { principal, changes })
    }

    /// `subject` is a topic, a filter or a client id.
    pub fn judge_signer(&self, signer: &Signer, action: IotAction, subject: &str) -> Result<(), Refusal> {
        if signer.caller.role_arn().is_none() {
            return Ok(());
        }
        let op =
            Op { caller: signer.caller.clone(), now: self.now(), request_id: random::uuid(), via: Some(signer.via) };
        let resource = self.inner.resource_scope.arn(action, subject);
        let why = match self.judge_caller(&op, action.as_str(), &resource, &[]) {
            Ok(Verdict::Allowed) => return Ok(()),
            Ok(Verdict::DeniedBy(kind)) => format!("with an explicit deny in its {}", kind.name()),
            Ok(Verdict::NotAllowedBy(kind)) => format!("because no {} allows it", kind.name()),
            Err(Error { message, .. }) => return Err(Refusal::Internal(message)),
        };
        let caller = self.caller_arn(&signer.caller).to_string();
        Err(Refusal::IamDoesNotAllow { caller, action: action.as_str().to_owned(), resource, why })
    }

    /// Whether the credentials are still good: not expired, and the role is the one that they were made for.
    pub fn signer_stands(&self, signer: &Signer) -> Result<(), Refusal> {
        let Caller::Session(session) = &signer.caller else { return Ok(()) };
        if self.now() >= session.expires_at {
            return Err(Refusal::RightLost("the credentials that it was signed with have expired".to_owned()));
        }
        match self.iam().id_of_role(&session.role_arn) {
            Ok(Some(role_id)) if role_id == session.role_id => Ok(()),
            Ok(_) => Err(Refusal::RightLost("the role of its credentials was deleted".to_owned())),
            Err(err) => Err(Refusal::Internal(err.message)),
        }
    }

    /// How long the credentials last from now on; `None` for those that do not end.
    pub fn signer_lasts(&self, signer: &Signer) -> Option<Duration> {
        let Caller::Session(session) = &signer.caller else { return None };
        let left_s = session.expires_at.seconds().saturating_sub(self.now().seconds());
        Some(Duration::from_secs(u64::try_from(left_s).unwrap_or(0)))
    }
}
