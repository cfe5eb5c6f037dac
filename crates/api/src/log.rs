//! Log lines about one request: all that is done for it is inside a span with its id, which the caller has as well
//! (`x-amzn-requestid`).

/// Whatever the log's level is, so that no line is without it.
pub(crate) fn request(request_id: &str) -> tracing::Span {
    tracing::error_span!("request", request_id)
}
