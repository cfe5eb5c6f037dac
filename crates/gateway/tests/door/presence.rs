//! Lifecycle events, as a client hears them that listens to all of them.

use fleet::{Device, MqttClient};
use mqtt::packet::{Connect, Disconnect, Publish, ReasonCode, Subscribe, SubscribeOptions, Subscription, Unsubscribe};
use mqtt::{Packet, PacketId, Qos, TopicFilter, TopicName, Version};
use serde_json::{Value, json};

use crate::server::{ARN, Server, allow_all, document, statement};

/// Hears every lifecycle event, and those of its own as well.
async fn watcher(server: &Server) -> MqttClient {
    let device = server.device(&allow_all()).await;
    let mut watcher = server.client(&device, "watcher").await;
    for filter in ["$aws/events/presence/#", "$aws/events/subscriptions/#"] {
        watcher.subscribe(filter, Qos::AtLeastOnce).await.unwrap();
    }
    // Of its second subscription.
    assert_eq!(next_event(&mut watcher).await.0, "$aws/events/subscriptions/subscribed/watcher");
    watcher
}

async fn next_event(watcher: &mut MqttClient) -> (String, Value) {
    let message = watcher.next_message().await.unwrap();
    assert!(!message.retain);
    (message.topic.as_str().to_owned(), serde_json::from_slice(&message.payload).unwrap())
}

/// The event without what differs each time, which is looked at here.
async fn plain_event(watcher: &mut MqttClient, device: &Device, session: &mut Option<Value>) -> (String, Value) {
    let (topic, mut event) = next_event(watcher).await;
    let members = event.as_object_mut().unwrap();
    let timestamp = members.remove("timestamp").and_then(|ms| ms.as_i64()).unwrap();
    assert!(timestamp > 1_700_000_000_000, "milliseconds: {timestamp}");
    assert_eq!(members.remove("principalIdentifier"), Some(json!(device.id().to_string())));
    let identifier = members.remove("sessionIdentifier").unwrap();
    assert_eq!(identifier.as_str().map(str::len), Some(36), "a UUID");
    assert_eq!(*session.get_or_insert(identifier.clone()), identifier, "one for each connection");
    (topic, event)
}

fn subscribe(filters: &[&str]) -> Packet {
    let subscription = |filter: &&str| Subscription {
        filter: TopicFilter::parse(filter).unwrap(),
        options: SubscribeOptions::of_qos(Qos::AtMostOnce),
    };
    let subscriptions = filters.iter().map(subscription).collect();
    Packet::Subscribe(Subscribe { packet_id: PacketId::FIRST, subscriptions, properties: Default::default() })
}

fn unsubscribe(filters: &[&str]) -> Packet {
    let filters = filters.iter().map(|filter| TopicFilter::parse(filter).unwrap()).collect();
    Packet::Unsubscribe(Unsubscribe { packet_id: PacketId::FIRST, filters, properties: Default::default() })
}

#[tokio::test]
async fn a_connection_from_beginning_to_end() {
    let server = Server::start().await;
    let mut watcher = watcher(&server).await;
    let rules =
        [statement("Allow", "iot:*", "*"), statement("Deny", "iot:Subscribe", &format!("{ARN}:topicfilter/secret"))];
    let device = server.device(&document(&rules)).await;
    for version in 0..2 {
        let mut session = None;
        let mut client = server.client(&device, "c/1").await;
        client.send(&subscribe(&["a/#", "secret", "b"]), "packet").await.unwrap();
        client.send(&unsubscribe(&["b", "never"]), "packet").await.unwrap();
        client.send(&unsubscribe(&["never"]), "packet").await.unwrap();
        client.disconnect().await.unwrap();
        for (topic, rest) in [
            (
                "presence/connected",
                json!({ "eventType": "connected", "ipAddress": "127.0.0.1", "versionNumber": version }),
            ),
            ("subscriptions/subscribed", json!({ "eventType": "subscribed", "topics": ["a/#", "b"] })),
            ("subscriptions/unsubscribed", json!({ "eventType": "unsubscribed", "topics": ["b"] })),
            (
                "presence/disconnected",
                json!({
                    "eventType": "disconnected", "versionNumber": version, "clientInitiatedDisconnect": true,
                    "disconnectReason": "CLIENT_INITIATED_DISCONNECT",
                }),
            ),
        ] {
            let (found, mut event) = plain_event(&mut watcher, &device, &mut session).await;
            assert_eq!(found, format!("$aws/events/{topic}/c/1"));
            assert_eq!(event.as_object_mut().unwrap().remove("clientId"), Some(json!("c/1")));
            assert_eq!(event, rest);
        }
    }
}

/// The next event that a connection ended.
async fn next_disconnect(watcher: &mut MqttClient, client_id: &str) -> Value {
    loop {
        let (topic, event) = next_event(watcher).await;
        if topic == format!("$aws/events/presence/disconnected/{client_id}") {
            return event;
        }
    }
}

#[tokio::test]
async fn reasons_of_disconnects() {
    let server = Server::start().await;
    let mut watcher = watcher(&server).await;
    let device = server
        .device(&document(&[
            statement("Allow", "iot:*", "*"),
            statement("Deny", "iot:Publish", &format!("{ARN}:topic/secret")),
        ]))
        .await;
    let publish = |topic: &str| Packet::Publish(Publish::at_most_once(TopicName::parse(topic).unwrap(), "x"));
    for (packet, reason) in [
        (Some(publish("secret")), "AUTH_ERROR"),
        (Some(publish("$reserved")), "CLIENT_ERROR"),
        (Some(Packet::Connect(Box::new(Connect::new("again")))), "CLIENT_ERROR"),
        (None, "CONNECTION_LOST"),
    ] {
        let mut client = server.client(&device, "c").await;
        match &packet {
            Some(packet) => client.send(packet, "packet").await.unwrap(),
            None => drop(client),
        }
        let event = next_disconnect(&mut watcher, "c").await;
        assert_eq!(event["disconnectReason"], reason, "{packet:?}");
        assert_eq!(event["clientInitiatedDisconnect"], false, "{packet:?}");
    }

    let mut older = server.client(&device, "c").await;
    let newer = server.client(&device, "c").await;
    older.closed().await.unwrap();
    let event = next_disconnect(&mut watcher, "c").await;
    assert_eq!((&event["disconnectReason"], &event["versionNumber"]), (&json!("DUPLICATE_CLIENTID"), &json!(4)));
    server.set_status(&device, "INACTIVE").await;
    let event = next_disconnect(&mut watcher, "c").await;
    assert_eq!((&event["disconnectReason"], &event["versionNumber"]), (&json!("FORBIDDEN_ACCESS"), &json!(5)));
    drop(newer);
}

/// It says goodbye and is gone, with messages on their way to it that it never read: TCP makes a reset of that, which must
/// not outrun what the device said last.
#[tokio::test]
async fn a_goodbye_is_heard_through_a_reset() {
    let server = Server::start().await;
    let mut watcher = watcher(&server).await;
    let device = server.device(&allow_all()).await;
    for _ in 0..20 {
        let mut client = server.client(&device, "c").await;
        client.subscribe("own", Qos::AtMostOnce).await.unwrap();
        for _ in 0..5 {
            client.publish_at_most_once("own", "unread").await.unwrap();
        }
        let disconnect = Packet::Disconnect(Disconnect { code: ReasonCode::Success, properties: Default::default() });
        client.send(&disconnect, "packet").await.unwrap();
        drop(client);
        let event = next_disconnect(&mut watcher, "c").await;
        assert_eq!(event["disconnectReason"], "CLIENT_INITIATED_DISCONNECT");
    }
}

#[tokio::test]
async fn connections_that_policies_do_not_let_in() {
    let server = Server::start().await;
    let mut watcher = watcher(&server).await;
    let no_policy = server.pending_device().await;
    server.set_status(&no_policy, "ACTIVE").await;
    let other_id = server.device(&document(&[statement("Allow", "iot:Connect", &format!("{ARN}:client/other"))])).await;
    for device in [&no_policy, &other_id] {
        for version in [Version::V311, Version::V5] {
            let connect = Connect { version, ..Connect::new("c") };
            assert!(server.connect(device, connect).await.is_err());
            let (topic, event) = plain_event(&mut watcher, device, &mut None).await;
            assert_eq!(topic, "$aws/events/presence/connect_failed/c");
            let expected = json!({
                "clientId": "c", "eventType": "connect_failed", "connectFailureReason": "AUTHORIZATION_FAILED",
                "ipAddress": "127.0.0.1",
            });
            assert_eq!(event, expected);
        }
    }
}

/// AWS has none for these ids; and for a first connection, which registers its certificate, none either.
#[tokio::test]
async fn who_has_no_events() {
    let server = Server::start().await;
    let mut watcher = watcher(&server).await;
    let device = server.device(&allow_all()).await;
    for client_id in ["a+", "#", "a/#/b"] {
        let mut client = server.client(&device, client_id).await;
        client.subscribe("t", Qos::AtMostOnce).await.unwrap();
        client.disconnect().await.unwrap();
    }
    let nobody = server.pending_device().await;
    assert!(server.connect(&nobody, Connect::new("pending")).await.is_err());
    server.client(&device, "next").await.disconnect().await.unwrap();
    assert_eq!(next_event(&mut watcher).await.0, "$aws/events/presence/connected/next");
}
