//! The CONNECT packet: AWS's own conditions, then admission and `iot:Connect`.

use std::sync::Arc;

use domain::admission::Refusal;
use domain::x509::Certificate;
use mqtt::packet::{Connect, ReasonCode};
use mqtt::{Session, Version};
use services::connection::Connecting;
use services::rates::{RateExceeded, RateKind};
use services::signed_connection::{Signer, WillOfSigner};

use super::end::End;
use super::facts::KeptFacts;
use super::goodbye;
use super::rights::Rights;
use super::{Line, Presented};
use crate::gateway::Gateway;
use crate::peer::Peer;

/// On `Err` the connection closes without a CONNACK, as AWS closes it, unless the standard demands one, or it is MQTT 5
/// and a policy that decided.
pub(super) async fn admit(
    gateway: &Gateway,
    line: &mut Line,
    peer: &Peer,
    presented: Presented,
    connect: &Connect,
) -> Result<Rights, End> {
    let Line { profile, session, socket, .. } = line;
    if profile.has_rates()
        && let Err(exceeded) = gateway.services().rates().connect(&connect.client_id, gateway.services().now())
    {
        let refusal = match exceeded {
            RateExceeded(RateKind::ConnectsOfClientId) => Refusal::ClientIdThrottled(exceeded.sentence()),
            exceeded => Refusal::Overloaded(exceeded.sentence()),
        };
        refuse(session, &refusal);
        return Err(End::refused(refusal));
    }
    if let Err(why) = profile.check_client_id(&connect.client_id) {
        session.refuse_connect(ReasonCode::ClientIdentifierNotValid);
        return Err(End::refused(Refusal::ClientIdRefused(why)));
    }
    let will_topic = connect.will.as_ref().map(|will| will.topic.as_str().to_owned());
    if let Some(Err(why)) = will_topic.as_deref().map(|topic| profile.check_publish(topic)) {
        let refusal = Refusal::MalformedConnect(format!("the will cannot be published: {why}"));
        refuse(session, &refusal);
        return Err(End::refused(refusal));
    }
    let retains_will = connect.will.as_ref().is_some_and(|will| will.retain);
    if let (true, Some(Err(why))) = (retains_will, will_topic.as_deref().map(|topic| profile.check_retain(topic))) {
        let refusal = Refusal::MalformedConnect(format!("the will cannot be retained: {why}"));
        refuse(session, &refusal);
        return Err(End::refused(refusal));
    }
    let will_properties = connect.will.as_ref().map(|will| profile.check_properties(&will.properties));
    if let Some(Err(why)) = will_properties {
        session.refuse_connect(ReasonCode::PacketTooLarge);
        return Err(End::refused(Refusal::MalformedConnect(format!("the will cannot be published: {why}"))));
    }
    let certificate = match presented {
        Presented::Certificate(certificate) => certificate,
        Presented::Signer(signer) => return admit_signer(gateway, session, signer, connect).await,
        Presented::Nothing => return Ok(Rights::unrestricted(gateway.services().clone(), connect.client_id.clone())),
    };
    let certificate = Arc::<Certificate>::from(certificate);
    let kept = KeptFacts::new(gateway.services().config(), &certificate, socket.chain(), connect);
    let facts = kept.of(&connect.client_id, peer, certificate);
    let connecting = Connecting { facts, server_name: peer.server_name, will_topic, retains_will };
    match gateway.services().connect(&connecting).await {
        Ok(admitted) => {
            let services = gateway.services().clone();
            Ok(Rights::of_certificate(services, connecting.facts.client_id, kept, admitted))
        }
        Err(refused) => {
            refuse(session, &refused.refusal);
            Err(End::Refused(refused))
        }
    }
}

/// With a signature it is IAM that decides; there is no certificate to be registered.
async fn admit_signer(
    gateway: &Gateway,
    session: &mut Session,
    signer: Signer,
    connect: &Connect,
) -> Result<Rights, End> {
    let will = connect.will.as_ref().map(|will| WillOfSigner { topic: will.topic.as_str(), retain: will.retain });
    match gateway.services().connect_signed(&signer, &connect.client_id, will).await {
        Ok(admitted) => Ok(Rights::of_signer(gateway.services().clone(), connect.client_id.clone(), signer, admitted)),
        Err(refused) => {
            refuse(session, &refused.refusal);
            Err(End::Refused(refused))
        }
    }
}

fn refuse(session: &mut Session, refusal: &Refusal) {
    if let (Version::V5, Some(reason)) = (session.version(), goodbye::connack(refusal)) {
        session.refuse_connect(reason);
    }
}
