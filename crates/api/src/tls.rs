//! TLS on the API port: the server's certificate, and no client certificate asked for. Signatures say who calls.

use std::io;
use std::sync::Arc;

use rustls::server::ResolvesServerCert;
use rustls::{ServerConfig, version};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a client that forgot the s in https reads.
const NOT_TLS: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n\
    content-length: 80\r\n\r\n{\"message\":\"This port speaks TLS: use https:// and trust the server's root CA.\"}";

/// Cheap to clone.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// TLS 1.2 and 1.3, HTTP/1.1.
    pub fn new(certificates: Arc<dyn ResolvesServerCert>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Whoever speaks plain HTTP is told so.
    pub(crate) async fn accept(&self, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first.iter().all(u8::is_ascii_uppercase) {
            stream.write_all(NOT_TLS.as_bytes()).await?;
            stream.shutdown().await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks HTTP without TLS"));
        }
        self.0.accept(stream).await
    }
}

#[cfg(test)]
mod tests {
    use super::NOT_TLS;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let (head, body) = NOT_TLS.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
