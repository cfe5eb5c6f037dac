//! HTTP/1.1 on a listener: connections and times bounded, the Host header checked, an orderly end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use services::Via;
use services::iot_data::HttpsDevice;
use services::places::{NoPlace, Places};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tracing::Instrument as _;

use crate::device_requests::is_signed;
use crate::entrance::{Entrance, Holder, Kind, Knock, MqttDoor, MqttDoors, Upgraded};
use crate::limits::{
    BODY_BYTES_MAX, BODY_TIMEOUT, DRAIN_TIMEOUT, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX, URI_BYTES_MAX,
};
use crate::message::{Answer, Head};
use crate::{Api, Tls, log, own_pages, websocket};

/// A pause after a failed accept: out of file descriptors, trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections turned away leave one line in the log in this time.
const TURNED_AWAY_PAUSE: Duration = Duration::from_secs(1);

/// Answers on `listener` until `shutdown` turns true, then lets open requests end.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    tls: Option<Tls>,
    mqtt: MqttDoors,
    mut shutdown: watch::Receiver<bool>,
) {
    let Ok(local) = listener.local_addr() else { return };
    let limits = &api.inner.settings.limits;
    let places = Places::new(limits.connections_max, limits.connections_per_address_max);
    let mut turned_away = TurnedAway::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = ended(&mut shutdown) => break,
            accepted = listener.accept() => accepted,
        };
        // Those that have ended are taken away as new ones come.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, source)) => match places.take(source.ip()) {
                Ok(place) => {
                    let (api, tls, shutdown) = (api.clone(), tls.clone(), shutdown.clone());
                    let via = Via { source_ip: source.ip(), is_tls: tls.is_some() };
                    let entrance = Entrance { via, kind: Kind::Api, mqtt: (mqtt.0)(source, local) };
                    connections.spawn(async move {
                        let _place = place;
                        accepted_connection(stream, entrance, tls, api, shutdown).await;
                    });
                }
                Err(why) => turned_away.tell(source, why),
            },
            Err(error) => {
                tracing::warn!(%error, "the API port could not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, all_ended).await.is_err() {
        tracing::warn!("API requests were still open at the end of the drain");
    }
}

#[derive(Default)]
struct TurnedAway {
    told: Option<Instant>,
    untold: u64,
}

impl TurnedAway {
    fn tell(&mut self, source: SocketAddr, why: NoPlace) {
        if self.told.is_some_and(|at| at.elapsed() < TURNED_AWAY_PAUSE) {
            self.untold = self.untold.saturating_add(1);
            return;
        }
        let others = std::mem::take(&mut self.untold);
        let bound = match why {
            NoPlace::Full => "limits.api_connections",
            NoPlace::AddressFull => "limits.api_connections_per_address",
        };
        tracing::warn!(%source, bound, others, "an API connection was turned away: as many are open as are allowed");
        self.told = Some(Instant::now());
    }
}

/// A stream of the devices' port that speaks HTTP: the data plane alone, and WebSockets. The certificate, where there is
/// one, is whose key the peer holds.
pub async fn serve_device(
    stream: TlsStream<TcpStream>,
    api: Api,
    via: Via,
    device: Option<HttpsDevice>,
    mqtt: MqttDoor,
    shutdown: watch::Receiver<bool>,
) {
    connection(stream, Entrance { via, kind: Kind::Devices(device), mqtt }, api, shutdown).await;
}

/// Its handshake, where the port has TLS, and then its requests.
async fn accepted_connection(
    stream: TcpStream,
    entrance: Entrance,
    tls: Option<Tls>,
    api: Api,
    mut shutdown: watch::Receiver<bool>,
) {
    let Some(tls) = tls else { return connection(stream, entrance, api, shutdown).await };
    let handshake = tokio::time::timeout(api.inner.settings.limits.handshake_timeout, tls.accept(stream));
    // Boxed: what only the handshake needs is not kept for the life of the connection.
    let handshake = Box::pin(handshake);
    let outcome = tokio::select! {
        outcome = handshake => outcome,
        () = ended(&mut shutdown) => return,
    };
    match outcome {
        Ok(Ok(stream)) => connection(stream, entrance, api, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake on the API port failed"),
        Err(_) => tracing::debug!("a TLS handshake on the API port took too long"),
    }
}

/// What a connection becomes once its 101 is sent.
struct Opening {
    upgrade: OnUpgrade,
    holder: Holder,
}

/// One connection to its end; after `shutdown` it ends with the request that it has.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    entrance: Entrance,
    api: Api,
    mut shutdown: watch::Receiver<bool>,
) {
    let opening = Arc::new(Mutex::new(None));
    let service = service_fn({
        let (entrance, opening) = (entrance.clone(), opening.clone());
        move |request| {
            let (api, entrance, opening) = (api.clone(), entrance.clone(), opening.clone());
            async move { Ok::<_, Infallible>(respond(&api, &entrance, &opening, request).await) }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // Boxed: what only HTTP needs is not kept for the life of a WebSocket.
    let mut connection = Box::pin(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = ended(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    drop(connection);
    if let Err(error) = outcome {
        tracing::debug!(%error, "an API connection ended early");
        return;
    }
    let opening = opening.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(opening) = opening {
        hand_over(opening, &entrance.mqtt, shutdown).await;
    }
}

/// The stream under a WebSocket, with what has come on it already, goes to the device door.
async fn hand_over(opening: Opening, mqtt: &MqttDoor, shutdown: watch::Receiver<bool>) {
    let Ok(upgraded) = opening.upgrade.await else { return };
    let (stream, received) = match upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>() {
        Ok(parts) => (Upgraded::Tls(Box::new(parts.io.into_inner())), parts.read_buf),
        Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => (Upgraded::Tcp(parts.io.into_inner()), parts.read_buf),
            Err(_) => return tracing::error!("an upgraded connection is neither TLS nor TCP"),
        },
    };
    (mqtt.0)(Knock::Opened { stream, received, holder: opening.holder }, shutdown).await;
}

/// Shutdown was asked for, or nobody is left to ask.
async fn ended(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|ending| *ending).await;
}

async fn respond(
    api: &Api,
    entrance: &Entrance,
    opening: &Mutex<Option<Opening>>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let request_id = services::uuid();
    let span = log::request(&request_id);
    respond_as(api, entrance, opening, request, request_id).instrument(span).await
}

async fn respond_as(
    api: &Api,
    entrance: &Entrance,
    opening: &Mutex<Option<Opening>>,
    mut request: Request<Incoming>,
    request_id: String,
) -> Response<Full<Bytes>> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let answer = match head(&parts) {
        Ok(head) if websocket::is_asked(&head) => match websocket_answer(api, entrance, &head, &request_id).await {
            Ok((answer, holder)) => {
                *opening.lock().unwrap_or_else(PoisonError::into_inner) = Some(Opening { upgrade, holder });
                answer
            }
            Err(answer) => answer,
        },
        Ok(head) => {
            let answer = answer(api, entrance, &head, body, &request_id).await;
            tracing::debug!(method = head.method, path = head.path, status = answer.status, "answered");
            answer
        }
        Err((head, sentence)) => Api::malformed(&head, sentence, &request_id),
    };
    let mut response = response(answer, &request_id);
    // A proxy in front may have counted the body by a Content-Length that stood beside it: what follows on this connection
    // could be anybody's. (RFC 9112 section 6.3)
    let is_ambiguous = parts.headers.contains_key(TRANSFER_ENCODING);
    // A stranger who asks and asks would keep a device's place for nothing.
    let is_let_go = matches!(entrance.kind, Kind::Devices(_)) && response.status().is_client_error();
    if is_ambiguous || is_let_go {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn websocket_answer(
    api: &Api,
    entrance: &Entrance,
    head: &Head,
    request_id: &str,
) -> Result<(Answer, Holder), Answer> {
    check_host(api, head)?;
    let (handshake, holder) = api.open_websocket(head, entrance, request_id).await?;
    Ok((handshake.answer(), holder))
}

fn check_host(api: &Api, head: &Head) -> Result<(), Answer> {
    if is_host_allowed(head, &api.inner.settings.host_names) {
        return Ok(());
    }
    let sentence = "The Host header names another server. Add the name to --endpoint-name.";
    Err(Answer::new(421, "application/json", serde_json::json!({ "message": sentence }).to_string()))
}

async fn answer(api: &Api, entrance: &Entrance, head: &Head, body: Incoming, request_id: &str) -> Answer {
    if let Err(answer) = check_host(api, head) {
        return answer;
    }
    match &entrance.kind {
        Kind::Api if own_pages::is_own(&head.path) => return api.own_page(head, request_id).await,
        Kind::Devices(_) if own_pages::is_own(&head.path) => return api.not_of_devices(head, request_id),
        Kind::Devices(Some(device)) if !is_signed(head) => {
            return match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
                Ok(Ok(body)) => api.device_request(device, entrance, head, &body.to_bytes(), request_id).await,
                Ok(Err(_)) | Err(_) => {
                    let sentence = "The request body could not be read to its end, or is too large.";
                    Api::malformed(head, sentence, request_id)
                }
            };
        }
        Kind::Api | Kind::Devices(_) => {}
    }
    let opened = match api.open(head, request_id) {
        Ok(opened) => opened,
        Err(answer) => return *answer,
    };
    if matches!(entrance.kind, Kind::Devices(_)) && !opened.is_of_data_plane() {
        return api.not_of_devices(head, request_id);
    }
    let limit = opened.body_bytes_max();
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return opened.too_large(request_id);
    }
    // Held to the end of the answer: so long does the memory last.
    let _large = match hint.upper() {
        Some(upper) if upper <= BODY_BYTES_MAX as u64 => None,
        _ if limit <= BODY_BYTES_MAX => None,
        _ => {
            let place = api.inner.large_bodies.acquire();
            match tokio::time::timeout(api.inner.settings.limits.large_body_wait, place).await {
                Ok(place) => place.ok(),
                Err(_) => return opened.busy(request_id),
            }
        }
    };
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return opened.too_large(request_id),
        Ok(Err(_)) | Err(_) => return opened.unreadable(request_id),
    };
    api.finish(opened, head, body, request_id, entrance.via).await
}

/// The head as the door takes it. The sentence says what it cannot take; the head is then as far as it was read.
fn head(parts: &hyper::http::request::Parts) -> Result<Head, (Head, &'static str)> {
    let mut head = Head {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: Vec::with_capacity(parts.headers.len()),
    };
    if head.path.len() + head.query.len() > URI_BYTES_MAX {
        return Err((head, "The request's URI is too long."));
    }
    // hyper counts what it has buffered, and may have buffered more than its limit at once.
    if parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > HEAD_BYTES_MAX {
        return Err((head, "The request's headers are too long."));
    }
    for (name, value) in &parts.headers {
        match std::str::from_utf8(value.as_bytes()) {
            Ok(value) => head.headers.push((name.as_str().to_owned(), value.to_owned())),
            Err(_) => return Err((head, "A header's value is not UTF-8.")),
        }
    }
    Ok(head)
}

/// A page in a browser can send requests here under a name that its own DNS server points at this machine. It cannot
/// under an address, and not under names that are not its own.
pub(crate) fn is_host_allowed(head: &Head, names: &[String]) -> bool {
    let mut hosts = head.headers.iter().filter(|(name, _)| name == "host").map(|(_, value)| value);
    // Two of them mean two servers to two readers. (RFC 9112 section 3.2)
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let local =
        |name: &str| name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    bare.parse::<IpAddr>().is_ok() || local(bare) || names.iter().any(|known| known.eq_ignore_ascii_case(bare))
}

fn response(answer: Answer, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let own = [("content-type", answer.content_type), ("x-amzn-requestid", request_id)];
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(own);
    for (name, value) in headers {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                response.headers_mut().insert(name, value);
            }
            _ => tracing::error!(name, "an answer's header cannot be sent"),
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::is_host_allowed;
    use crate::message::Head;

    #[test]
    fn hosts() {
        let names = ["iot.example.com".to_owned()];
        for (host, allowed) in [
            (Some("localhost:4566"), true),
            (Some("LOCALHOST"), true),
            (Some("iot.localhost:1"), true),
            (Some("127.0.0.1:4566"), true),
            (Some("[::1]:4566"), true),
            (Some("iot.example.com:4566"), true),
            (Some("IoT.Example.com"), true),
            (Some("evil.example.com:4566"), false),
            (Some("127.0.0.1.evil.example"), false),
            (Some("localhost:evil"), false),
            (Some(""), false),
            (None, false),
        ] {
            let headers = host.map(|host| ("host".to_owned(), host.to_owned())).into_iter().collect();
            let head = Head { method: "GET".into(), path: "/".into(), query: String::new(), headers };
            assert_eq!(is_host_allowed(&head, &names), allowed, "{host:?}");
        }
    }
}
