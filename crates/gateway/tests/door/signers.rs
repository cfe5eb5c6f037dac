//! Sessions of a role on a WebSocket: IAM's word counts on the live connection, and their time.

use std::net::IpAddr;

use gateway::WebSocketHolder;
use mqtt::Packet;
use mqtt::Qos;
use mqtt::packet::ReasonCode;
use serde_json::Value;
use services::iam::shapes::{
    AttachRolePolicyRequest, CreateRoleRequest, DeleteRolePolicyRequest, DetachRolePolicyRequest, PutRolePolicyRequest,
};
use services::signed_connection::Signer;
use services::sts::shapes::AssumeRoleRequest;
use services::{Caller, Via};

use crate::server::{Server, allow_all, document, statement};
use crate::websocket::{Client, connect};

const ROLE: &str = "talker";
const MANAGED: &str = "arn:aws:iam::aws:policy/AWSIoTDataAccess";
/// Credentials that live as short as may be.
const SESSION_S: i64 = 900;

async fn create_role(server: &Server) {
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}}"#;
    let input = CreateRoleRequest {
        role_name: ROLE.to_owned(),
        assume_role_policy_document: trust.to_owned(),
        ..CreateRoleRequest::default()
    };
    server.services.iam().create_role(&server.op(), input).await.unwrap();
}

async fn put_policy(server: &Server, document: &str) {
    let input = PutRolePolicyRequest {
        role_name: ROLE.to_owned(),
        policy_name: "talks".to_owned(),
        policy_document: document.to_owned(),
    };
    server.services.iam().put_role_policy(&server.op(), input).await.unwrap();
}

async fn assumed(server: &Server) -> Caller {
    let input = AssumeRoleRequest {
        role_arn: format!("arn:aws:iam::123456789012:role/{ROLE}"),
        role_session_name: "s".to_owned(),
        duration_seconds: Some(i32::try_from(SESSION_S).unwrap()),
        ..AssumeRoleRequest::default()
    };
    let answer = server.services.sts().assume_role(&server.op(), input).await.unwrap();
    let keys = answer.credentials.unwrap();
    let (id, token) = (keys.access_key_id.unwrap(), keys.session_token.unwrap());
    server.services.credentials(&id, Some(&token)).unwrap().caller
}

async fn opened(server: &Server, caller: &Caller, client_id: &str) -> Client {
    let via = Via { source_ip: IpAddr::from([127, 0, 0, 1]), is_tls: true };
    let holder = WebSocketHolder::Signer(Signer { caller: caller.clone(), via });
    let mut client = Client::open_for(server, holder).await;
    client.say(connect(client_id)).await;
    client
}

async fn must_be_welcome(client: &mut Client) {
    let answer = client.hear().await;
    assert!(matches!(&answer, Packet::ConnAck(ack) if ack.code == ReasonCode::Success), "{answer:?}");
}

async fn must_be_ended(client: &mut Client) {
    let answer = client.hear().await;
    assert!(matches!(&answer, Packet::Disconnect(end) if end.code == ReasonCode::NotAuthorized), "{answer:?}");
}

/// What takes the right to be connected away.
#[derive(Clone, Copy, Debug)]
enum Change {
    Replaced,
    Denied,
    SessionsRevoked,
    Deleted,
    Detached,
}

async fn happen(server: &Server, change: Change) {
    let (iam, op) = (server.services.iam(), server.op());
    let allowed = statement("Allow", "iot:*", "*");
    match change {
        Change::Replaced => put_policy(server, &document(&[statement("Allow", "iot:Publish", "*")])).await,
        Change::Denied => put_policy(server, &document(&[allowed, statement("Deny", "iot:Connect", "*")])).await,
        Change::SessionsRevoked => {
            let older = r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2100-01-01T00:00:00Z"}}}"#;
            put_policy(server, &document(&[allowed, older.to_owned()])).await;
        }
        Change::Deleted => {
            let input = DeleteRolePolicyRequest { role_name: ROLE.to_owned(), policy_name: "talks".to_owned() };
            iam.delete_role_policy(&op, input).await.unwrap();
        }
        Change::Detached => {
            let input = DetachRolePolicyRequest { role_name: ROLE.to_owned(), policy_arn: MANAGED.to_owned() };
            iam.detach_role_policy(&op, input).await.unwrap();
        }
    }
}

#[tokio::test]
async fn whatever_takes_the_right_away_ends_the_connection() {
    let server = Server::start().await;
    create_role(&server).await;
    let caller = assumed(&server).await;
    for change in [Change::Replaced, Change::Denied, Change::SessionsRevoked, Change::Deleted, Change::Detached] {
        if matches!(change, Change::Detached) {
            let input = AttachRolePolicyRequest { role_name: ROLE.to_owned(), policy_arn: MANAGED.to_owned() };
            server.services.iam().attach_role_policy(&server.op(), input).await.unwrap();
        } else {
            put_policy(&server, &allow_all()).await;
        }
        let client_id = format!("{change:?}");
        let mut client = opened(&server, &caller, &client_id).await;
        must_be_welcome(&mut client).await;
        // What changes nothing for it leaves it alone.
        let other = CreateRoleRequest {
            role_name: format!("other-{change:?}"),
            assume_role_policy_document: r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}"#.to_owned(),
            ..CreateRoleRequest::default()
        };
        server.services.iam().create_role(&server.op(), other).await.unwrap();
        client.ping().await;
        happen(&server, change).await;
        must_be_ended(&mut client).await;
        server.await_reason(&client_id, "RIGHT_LOST").await;
        let mut again = opened(&server, &caller, &client_id).await;
        let answer = again.hear().await;
        assert!(matches!(&answer, Packet::ConnAck(ack) if ack.code == ReasonCode::NotAuthorized), "{answer:?}");
        server.await_reason(&client_id, "IAM_DOES_NOT_ALLOW").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_session_that_expires_takes_its_connection_with_it() {
    let server = Server::start().await;
    create_role(&server).await;
    put_policy(&server, &allow_all()).await;
    let caller = assumed(&server).await;
    server.advance_s(SESSION_S - 3);
    let mut client = opened(&server, &caller, "expires").await;
    must_be_welcome(&mut client).await;
    must_be_ended(&mut client).await;
    server.await_reason("expires", "RIGHT_LOST").await;
    let sentence = server.last_record("expires").unwrap().sentence;
    assert!(sentence.contains("expired"), "{sentence}");
    server.stop().await;
}

/// Under the name that AWS has for a session.
#[tokio::test]
async fn presence_events_tell_of_sessions_too() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut listening = server.client(&device, "listens").await;
    listening.subscribe("$aws/events/presence/+/signer", Qos::AtLeastOnce).await.unwrap();
    create_role(&server).await;
    let caller = assumed(&server).await;
    let mut refused = opened(&server, &caller, "signer").await;
    let answer = refused.hear().await;
    assert!(matches!(&answer, Packet::ConnAck(ack) if ack.code == ReasonCode::NotAuthorized), "{answer:?}");
    put_policy(&server, &allow_all()).await;
    let mut welcome = opened(&server, &caller, "signer").await;
    must_be_welcome(&mut welcome).await;
    happen(&server, Change::Deleted).await;
    must_be_ended(&mut welcome).await;
    for (kind, member, value) in [
        ("connect_failed", "connectFailureReason", "AUTHORIZATION_FAILED"),
        ("connected", "clientId", "signer"),
        ("disconnected", "disconnectReason", "FORBIDDEN_ACCESS"),
    ] {
        let message = listening.next_message().await.unwrap();
        assert_eq!(message.topic.as_str(), format!("$aws/events/presence/{kind}/signer"));
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event[member], value, "{event}");
        let principal = event["principalIdentifier"].as_str().unwrap();
        assert!(principal.starts_with("AROA") && principal.ends_with(":s"), "{event}");
    }
    listening.disconnect().await.unwrap();
    server.stop().await;
}
