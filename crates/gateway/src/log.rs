//! Log lines about one connection: which it is, its client, its certificate. As fields of each line and not by a span
//! around the connection, which would cost something at every wake-up.

/// `told!(info, peer, why, "what")`, as `tracing::info!(why, "what")` with the peer's names before it.
macro_rules! told {
    ($level:ident, $peer:expr, $($rest:tt)+) => {
        tracing::$level!(
            connection = $peer.connection,
            client_id = $peer.client_id,
            certificate_id = $peer.certificate_id.map(tracing::field::display),
            $($rest)+
        )
    };
}

pub(crate) use told;
