//! The pipe between the server and a worker: length-prefixed JSON frames, bounded before they are read.
//! No frame names an identity; whose calls these are, the server knows from the pipe.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The server to the worker. `Init` comes first, and is followed by one frame of bytes: the package's zip.
/// The end of the pipe ends the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    Init(Init),
    Invoke(Invoke),
    AwsReply(AwsReply),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Init {
    pub function_name: String,
    pub function_version: String,
    pub function_arn: String,
    pub runtime: String,
    pub handler: String,
    pub memory_mb: u32,
    pub timeout_ms: u64,
    pub environments_max: u32,
    pub region: String,
    pub variables: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Invoke {
    pub environment: u32,
    pub log_stream: String,
    pub request_id: String,
    pub event: Box<RawValue>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AwsReply {
    pub environment: u32,
    pub call: u32,
    pub result: Result<Box<RawValue>, AwsFailure>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AwsFailure {
    pub code: String,
    pub message: String,
    pub status: u16,
    pub request_id: String,
}

/// The worker to the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// The package is unpacked, or the reason why not.
    Ready(Result<(), String>),
    /// The function's module is loaded; the handler is about to be called for the first time.
    Started {
        environment: u32,
    },
    Log {
        environment: u32,
        text: String,
    },
    AwsCall(AwsCall),
    Done(Done),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AwsCall {
    pub environment: u32,
    pub call: u32,
    pub service: String,
    pub operation: String,
    pub input: Box<RawValue>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub environment: u32,
    pub request_id: String,
    pub ending: Ending,
    pub duration_us: u64,
    /// Of the environment's first invocation only.
    pub init_us: Option<u64>,
    pub memory_bytes: u64,
}

/// How an invocation ended. All but the first two leave an environment that must not be used again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ending {
    Value(Box<RawValue>),
    Error(Box<RawValue>),
    /// The error came from outside the handler (its module, a timer, a forgotten promise).
    Uncaught(Box<RawValue>),
    TimedOut {
        after_ms: u64,
    },
    OutOfMemory,
    Exited {
        status: i32,
    },
}

pub(crate) fn encode<T: Serialize>(frame: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let length = u32::try_from(bytes.len().saturating_sub(4)).map_err(|_| io::Error::other("frame too long"))?;
    if let Some(head) = bytes.first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
    }
    Ok(bytes)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}

/// A frame that is bytes rather than JSON.
pub(crate) fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("frame too long"))?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(bytes)
}

/// `None` at the end of the pipe.
pub(crate) fn read(input: &mut impl Read, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 4];
    match input.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; bounded(head, bytes_max)?];
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// As `read`, for the server's side.
pub(crate) async fn receive(input: &mut (impl AsyncRead + Unpin), bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 4];
    match input.read_exact(&mut head).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let mut bytes = vec![0; bounded(head, bytes_max)?];
    input.read_exact(&mut bytes).await?;
    Ok(Some(bytes))
}

fn bounded(head: [u8; 4], bytes_max: usize) -> io::Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(io::Error::other(format!("a frame of {length} bytes, {bytes_max} are allowed")));
    }
    Ok(length)
}
