//! An operator's AWS client: one signed HTTP/1.1 request per call, in the three protocols that the services speak.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::sigv4::{Credentials, Request, sign};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::certificate::now;
use crate::{ClientTls, Error};

/// Lambda's 6 MB answers are the largest there are.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// An answer that has not come by then is a failure; invocations may take longer: `with_deadline`.
const DEADLINE: Duration = Duration::from_secs(30);

const HTTP_PORT: u16 = 80;

/// Cheap to clone. Each call opens its own connection.
#[derive(Clone)]
pub struct AwsClient {
    /// `host:port`, as the Host header says it.
    authority: String,
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    credentials: Credentials,
    region: String,
    deadline: Duration,
}

/// One request before it is signed. `path` and `query` are as on the wire: see `uri_encoded`.
#[derive(Clone, Debug, Default)]
pub struct AwsRequest<'a> {
    /// The service's name in the signature: `iot`, `lambda`, `iam`, `sts`, `logs`, `iotdata`.
    pub service: &'a str,
    pub method: Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

#[derive(Clone, Debug)]
pub struct AwsResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl AwsClient {
    /// `endpoint` is `http://127.0.0.1:4566`. https needs a root CA: see `with_tls`.
    pub fn new(endpoint: &str, region: &str, credentials: Credentials) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Request(format!("the endpoint {endpoint} is not usable: {why}"));
        let uri: Uri = endpoint.parse().map_err(|_| wrong("it is no URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(wrong("for https, use AwsClient::with_tls")),
            _ => return Err(wrong("it must begin with http://")),
        }
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host,
            port: authority.port_u16().unwrap_or(HTTP_PORT),
            tls: None,
            credentials,
            region: region.to_owned(),
            deadline: DEADLINE,
        })
    }

    /// https to `host:port`, an IPv6 address without brackets, trusting what `tls` trusts.
    pub fn with_tls(
        host: &str,
        port: u16,
        tls: &ClientTls,
        region: &str,
        credentials: Credentials,
    ) -> Result<Self, Error> {
        let tls = (Arc::new(tls.config()?), tls.server_name().clone());
        Ok(Self {
            authority: if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") },
            host: host.to_owned(),
            port,
            tls: Some(tls),
            credentials,
            region: region.to_owned(),
            deadline: DEADLINE,
        })
    }

    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// Any answer of the server is `Ok`, errors of the service too: look at `status`.
    pub async fn call(&self, request: &AwsRequest<'_>) -> Result<AwsResponse, Error> {
        // A TLS handshake is part of it, and large: boxed, it is not part of every future that waits for an answer.
        match timeout(self.deadline, Box::pin(self.exchange(self.signed(request)?))).await {
            Ok(response) => response,
            Err(_) => Err(Error::TimedOut { waiting_for: ANSWER }),
        }
    }

    /// rest-json (iot, lambda): `None` sends no body. `path` may carry a query.
    pub async fn rest_json(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<AwsResponse, Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = [("content-type", "application/json")];
        let headers = if body.is_empty() { &[][..] } else { &headers[..] };
        self.call(&AwsRequest { service, method, path, query, headers, body: body.as_bytes() }).await
    }

    /// json-1.1 (logs): `target` is `Logs_20140328.FilterLogEvents`.
    pub async fn json_1_1(&self, service: &str, target: &str, body: &Value) -> Result<AwsResponse, Error> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let body = body.to_string();
        let body = body.as_bytes();
        self.call(&AwsRequest { service, method: Method::POST, path: "/", query: "", headers: &headers, body }).await
    }

    /// query (iam, sts): the answer is XML.
    pub async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<AwsResponse, Error> {
        let mut form = format!("Action={}&Version={}", uri_encoded(action), uri_encoded(version));
        for (name, value) in parameters {
            form.push_str(&format!("&{}={}", uri_encoded(name), uri_encoded(value)));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let body = form.as_bytes();
        self.call(&AwsRequest { service, method: Method::POST, path: "/", query: "", headers: &headers, body }).await
    }

    fn signed(&self, request: &AwsRequest<'_>) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let mut headers = request.headers.to_vec();
        headers.push(("host", &self.authority));
        let unsigned = Request {
            method: request.method.as_str(),
            path: request.path,
            query: request.query,
            headers: &headers,
            body: request.body,
        };
        let added = sign(&unsigned, &self.credentials, &self.region, request.service, now());
        let mut target = request.path.to_owned();
        if !request.query.is_empty() {
            target.push('?');
            target.push_str(request.query);
        }
        let mut builder = hyper::Request::builder().method(request.method.clone()).uri(target);
        for (name, value) in
            headers.into_iter().chain(added.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        {
            builder = builder.header(name, value);
        }
        builder.body(Full::new(Bytes::copy_from_slice(request.body))).map_err(|error| Error::Request(error.to_string()))
    }

    async fn exchange(&self, request: hyper::Request<Full<Bytes>>) -> Result<AwsResponse, Error> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| Error::Io { doing: "connect", error })?;
        tcp.set_nodelay(true).map_err(|error| Error::Io { doing: "connect", error })?;
        match &self.tls {
            None => exchange_over(tcp, request).await,
            Some((config, name)) => {
                let connector = TlsConnector::from(config.clone());
                let stream = connector.connect(name.clone(), tcp).await;
                exchange_over(stream.map_err(|error| Error::of_stream(error, "TLS handshake"))?, request).await
            }
        }
    }
}

const ANSWER: &str = "answer";

async fn exchange_over<S>(stream: S, request: hyper::Request<Full<Bytes>>) -> Result<AwsResponse, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http_error)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(http_error)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Error::Protocol(error.to_string()))?.to_bytes();
        Ok(AwsResponse { status: head.status.as_u16(), headers: head.headers, body })
    };
    // The connection moves the bytes and need not outlive the exchange.
    tokio::pin!(connection, exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            // What was read before the end is in the exchange's hands.
            Ok(()) => exchange.await,
            Err(error) => Err(http_error(error)),
        },
    }
}

fn http_error(error: hyper::Error) -> Error {
    if error.is_incomplete_message() || error.is_closed() {
        return Error::Closed { waiting_for: ANSWER, how: crate::Closing::EndOfStream };
    }
    Error::Protocol(error.to_string())
}

impl AwsResponse {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `Value::Null` for an empty body.
    pub fn json(&self) -> Result<Value, Error> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| Error::Protocol(format!("the answer is no JSON: {error}")))
    }

    /// The text of the first `<name>` element of an XML answer. Enough for flat answers; entities stay as they are.
    pub fn xml_text(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, after) = text.split_once(&format!("<{name}>"))?;
        let (content, _) = after.split_once(&format!("</{name}>"))?;
        Some(content.to_owned())
    }

    /// The exception's name wherever the protocol puts it: `x-amzn-ErrorType`, `__type` or `<Code>`.
    pub fn error_code(&self) -> Option<String> {
        let header = self.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let code = header.or_else(|| self.json_member("__type")).or_else(|| self.xml_text("Code"))?;
        let code = code.split(':').next().unwrap_or_default();
        Some(code.rsplit('#').next().unwrap_or_default().to_owned())
    }

    pub fn error_message(&self) -> Option<String> {
        let json = self.json_member("message").or_else(|| self.json_member("Message"));
        json.or_else(|| self.xml_text("Message"))
    }

    fn json_member(&self, name: &str) -> Option<String> {
        self.json().ok()?.get(name)?.as_str().map(str::to_owned)
    }
}

/// A path segment or a query part with everything but unreserved characters percent-encoded.
pub fn uri_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
