//! What a client is to be spoken to as, on the port where ALPN decides.
//! (AWS IoT developer guide, "Device communication protocols")

use domain::admission::Refusal;
use rustls::server::ClientHello;

/// MQTT with a client certificate; what AWS devices offer on port 443.
pub(crate) const MQTT_CA: &[u8] = b"x-amzn-mqtt-ca";
/// HTTPS with a client certificate.
pub(crate) const HTTP_CA: &[u8] = b"x-amzn-http-ca";
/// Custom authentication, which is not served.
const CUSTOM_AUTH: &[u8] = b"mqtt";
/// What HTTP clients offer of themselves, next to `h2`.
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    MqttWithCertificate,
    HttpsWithCertificate,
    /// HTTPS and WebSocket: a signature says who calls, or a client certificate, which is ours: AWS asks for none here.
    Https,
}

/// The client's preferences do not count: it offers one of AWS's names because it means it.
pub(crate) fn spoken(hello: &ClientHello<'_>) -> Result<Spoken, Refusal> {
    hello.alpn().map_or(Ok(Spoken::Https), |offered| of_offered(&offered.collect::<Vec<_>>()))
}

fn of_offered(offered: &[&[u8]]) -> Result<Spoken, Refusal> {
    let offers = |name: &[u8]| offered.contains(&name);
    if offers(MQTT_CA) {
        Ok(Spoken::MqttWithCertificate)
    } else if offers(HTTP_CA) {
        Ok(Spoken::HttpsWithCertificate)
    } else if offers(HTTP_1_1) {
        Ok(Spoken::Https)
    } else if offers(CUSTOM_AUTH) {
        Err(Refusal::AlpnRefused("it offered mqtt, which stands for custom authentication".to_owned()))
    } else {
        let names: Vec<String> = offered.iter().map(|name| name.escape_ascii().to_string()).collect();
        Err(Refusal::AlpnRefused(format!("it offered {}", names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Spoken, of_offered};

    #[test]
    fn the_name_decides() {
        let offers: [(&[&str], Option<Spoken>); 8] = [
            (&["x-amzn-mqtt-ca"], Some(Spoken::MqttWithCertificate)),
            (&["http/1.1", "x-amzn-mqtt-ca"], Some(Spoken::MqttWithCertificate)),
            (&["x-amzn-http-ca"], Some(Spoken::HttpsWithCertificate)),
            (&["x-amzn-http-ca", "http/1.1"], Some(Spoken::HttpsWithCertificate)),
            (&["h2", "http/1.1"], Some(Spoken::Https)),
            (&["h2"], None),
            (&["mqtt"], None),
            (&["anything"], None),
        ];
        for (offered, expected) in offers {
            let bytes: Vec<&[u8]> = offered.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(of_offered(&bytes).ok(), expected, "{offered:?}");
        }
    }
}
