//! The client id, and the session that goes with it: a new one, or one that goes on. CONNACK says which.

use broker::{Claim, KeptWill, SessionRequest, Start};
use domain::admission::Refusal;
use mqtt::packet::{Connect, ReasonCode};
use mqtt::{Version, Welcome};

use super::Line;
use super::end::End;
use super::live::will_message;
use super::rights::Rights;
use crate::gateway::Gateway;

/// Where the session outlives the connection, it is on disk before CONNACK. An older connection of the client ends.
pub(super) async fn claim(
    gateway: &Gateway,
    line: &mut Line,
    rights: &Rights,
    connect: &Connect,
    assigned_client_id: Option<String>,
) -> Result<Claim, End> {
    let options = line.profile.claim_options_within(gateway.limits());
    let request = request(line, rights, connect);
    let claim = match gateway.broker().claim_with(rights.client_id(), options, request).await {
        Ok(claim) => claim,
        Err(error) => {
            let code = match line.session.version() {
                Version::V5 if error.is_quota() => ReasonCode::QuotaExceeded,
                _ => ReasonCode::ServerUnavailable,
            };
            line.session.refuse_connect(code);
            let (is_quota, why) = (error.is_quota(), error.to_string());
            return Err(End::refused(if is_quota { Refusal::Overloaded(why) } else { Refusal::Internal(why) }));
        }
    };
    let now_ms = line.uptime.now_ms();
    let resumed = claim.is_resumed().then(|| claim.state(now_ms));
    line.session.accept_connect(Welcome { resumed, assigned_client_id, ..Welcome::default() }, now_ms);
    Ok(claim)
}

fn request(line: &Line, rights: &Rights, connect: &Connect) -> SessionRequest {
    let expiry_s = line.session.session_expiry_s();
    let will = connect.will.as_ref().filter(|_| expiry_s > 0).map(|will| KeptWill {
        delay_s: line.session.will_delay_s(will).unwrap_or(0),
        message: will_message(line.profile, will.clone()),
        principal: rights.principal(),
    });
    let start = if connect.clean { Start::Clean } else { Start::Resume };
    SessionRequest { version: connect.version, start, expiry_s, will }
}
