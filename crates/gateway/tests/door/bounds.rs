//! One address that holds all it can keeps nobody else waiting.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleet::ClientTls;
use gateway::Limits;
use rustls::ClientConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::DEADLINE;
use crate::server::{Server, allow_all};

/// Linux takes the whole of 127/8 for its own.
pub async fn connect_from(source: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(server).await.unwrap()
}

fn client_hello(tls: &ClientTls) -> Vec<u8> {
    let config = Arc::new(tls.config().unwrap());
    let mut client = ClientConnection::new(config, tls.server_name().clone()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[tokio::test]
async fn who_stalls_after_the_hello_delays_only_its_own_address() {
    let limits = Limits {
        handshakes_max: 3,
        handshakes_per_address_max: 2,
        handshake_timeout: Duration::from_secs(600),
        ..Limits::default()
    };
    let server = Server::start_with(limits).await;
    let device = server.device(&allow_all()).await;
    let hello = client_hello(&server.tls(&device));
    let mut stalling = JoinSet::new();
    for _ in 0..6 {
        let mut stream = connect_from([127, 0, 0, 9], server.address).await;
        stream.write_all(&hello).await.unwrap();
        stalling.spawn(async move { stream.read_u8().await.map(|_| stream) });
    }
    // Two have their turn, which the server's answer shows; the others wait behind them.
    let mut answered = Vec::new();
    while answered.len() < 2 {
        let one = tokio::time::timeout(DEADLINE, stalling.join_next()).await.expect("a turn");
        answered.push(one.unwrap().unwrap().unwrap());
    }
    let client = tokio::time::timeout(DEADLINE, server.client(&device, "device")).await.expect("not delayed");
    client.disconnect().await.unwrap();
    drop((stalling, answered));
    server.stop().await;
}

#[tokio::test]
async fn connections_of_one_address_leave_places_for_others() {
    let limits = Limits { connections_max: 10, connections_per_address_max: 5, ..Limits::default() };
    let server = Server::start_with(limits).await;
    let device = server.device(&allow_all()).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(connect_from([127, 0, 0, 9], server.address).await);
    }
    let client = tokio::time::timeout(DEADLINE, server.client(&device, "device")).await.expect("a place");
    client.disconnect().await.unwrap();
    drop(idle);
    server.stop().await;
}
