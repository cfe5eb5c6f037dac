//! Wills that wait for their time.

use broker::{SessionRequest, Start, WillAtEnd, WillFate};

use crate::world::{World, request, will};

fn with_will(start: Start, expiry_s: u32, delay_s: u32) -> SessionRequest {
    SessionRequest { will: Some(will("gone", delay_s)), ..request(start, expiry_s) }
}

async fn due(world: &World) -> Option<String> {
    let due = world.broker.work().await.unwrap()?;
    assert_eq!((due.client_id.as_str(), due.principal.as_deref()), ("a", Some("principal")));
    world.broker.will_published(&due).await.unwrap();
    Some(due.message.topic.as_str().to_owned())
}

#[tokio::test]
async fn a_delayed_will_comes_out_at_its_time_and_once() {
    for (delay_s, expiry_s, due_s) in [(10, 100, 10), (100, 20, 20)] {
        for restarts in [false, true] {
            let mut world = World::new();
            let claim = world.claim("a", with_will(Start::Resume, expiry_s, delay_s)).await;
            assert_eq!(claim.end(expiry_s, WillAtEnd::Delayed { delay_s }), WillFate::Kept);
            if restarts {
                world = world.restart().await;
            }
            world.pass_s(due_s - 1);
            assert_eq!(due(&world).await, None, "not before its time");
            world.pass_s(1);
            assert_eq!(due(&world).await.as_deref(), Some("gone"), "{delay_s} {expiry_s} {restarts}");
            assert_eq!(due(&world).await, None);
            let world = world.restart().await;
            world.pass_s(1000);
            assert_eq!(due(&world).await, None, "once");
        }
    }
}

#[tokio::test]
async fn a_client_that_comes_back_cancels_it() {
    let world = World::new();
    let claim = world.claim("a", with_will(Start::Resume, 100, 10)).await;
    claim.end(100, WillAtEnd::Delayed { delay_s: 10 });
    world.pass_s(5);
    let claim = world.claim("a", request(Start::Resume, 100)).await;
    assert!(claim.is_resumed());
    world.pass_s(50);
    assert_eq!(due(&world).await, None);
    let world = world.restart().await;
    world.pass_s(50);
    assert_eq!(due(&world).await, None);
    drop(claim);
}

#[tokio::test]
async fn a_takeover_cancels_it_and_a_clean_start_makes_it_due() {
    for (start, fate) in [(Start::Resume, WillFate::Cancelled), (Start::Clean, WillFate::Due)] {
        let world = World::new();
        let older = world.claim("a", with_will(Start::Resume, 100, 10)).await;
        let _newer = world.claim("a", request(start, 100)).await;
        assert_eq!(older.end(100, WillAtEnd::Delayed { delay_s: 10 }), fate);
        assert_eq!(due(&world).await, None, "it is the connection's to publish");
    }
}

#[tokio::test]
async fn it_comes_when_the_session_ends_before_its_time() {
    let world = World::new();
    let claim = world.claim("a", with_will(Start::Resume, 100, 50)).await;
    claim.end(100, WillAtEnd::Delayed { delay_s: 50 });
    let _newer = world.claim("a", request(Start::Clean, 0)).await;
    // Not told that it was published: it comes again after a restart.
    assert!(world.broker.work().await.unwrap().is_some());
    let world = world.restart().await;
    assert_eq!(due(&world).await.as_deref(), Some("gone"));
    let world = world.restart().await;
    assert_eq!(due(&world).await, None);
}

/// The server went, and the connection with it.
#[tokio::test]
async fn a_will_survives_the_server() {
    for delay_s in [0, 10] {
        let world = World::new();
        let claim = world.claim("a", with_will(Start::Resume, 100, delay_s)).await;
        std::mem::forget(claim);
        let world = world.restart().await;
        world.pass_s(u64::from(delay_s));
        assert_eq!(due(&world).await.as_deref(), Some("gone"));
    }
    let world = World::new();
    let claim = world.claim("a", with_will(Start::Resume, 100, 0)).await;
    claim.end(100, WillAtEnd::Discarded);
    let world = world.restart().await;
    assert_eq!(due(&world).await, None, "the client said goodbye");
}
