//! A journal's files: segments of entries, each checked by a hash, the last one open for more.
//!
//! A segment begins with `MAGIC`. An entry is the length of its body (four bytes, big-endian), the first eight bytes of
//! the body's SHA-256, and the body: sequence and time (eight bytes each), the stream's length (two bytes), stream and
//! value. A segment is named by its first sequence in hexadecimal.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use bytes::Bytes;

use super::ring::{Held, Ring};
use crate::directory::{make_private, private_file, sync};
use crate::error::StoreError;
use crate::limits::{ENTRY_BYTES_MAX, SEGMENT_BYTES_MIN, SEGMENTS_PER_JOURNAL, STREAM_BYTES_MAX};

const MAGIC: &[u8; 8] = b"LFJRNL1\n";
const EXTENSION: &str = "segment";
const CHECK_BYTES: usize = 8;
const BODY_HEAD_BYTES: usize = 8 + 8 + 2;
const BODY_BYTES_MAX: usize = BODY_HEAD_BYTES + STREAM_BYTES_MAX + ENTRY_BYTES_MAX;

/// A crash may lose entries whose sequence somebody has seen. What is appended after a restart lies beyond them, so
/// that nobody who reads on from there misses it. More than a second's entries.
const RESTART_GAP: u64 = 1 << 20;

/// No journal counts this far. An entry that claims to is damaged: it would leave no numbers for those to come.
const SEQUENCE_MAX: u64 = u64::MAX / 2;

pub(super) struct Segments {
    folder: PathBuf,
    /// Oldest first; the last one may be open.
    list: VecDeque<Segment>,
    /// The journal was removed: nothing is written any more.
    is_abandoned: bool,
    open: Option<File>,
    /// Everything up to here is in the files, or was forgotten before it got there.
    written_through: u64,
}

struct Segment {
    path: PathBuf,
    last_sequence: u64,
    size_bytes: u64,
}

impl Segments {
    /// Reads what is there into `ring`. Damage costs the rest of its segment and no more.
    pub(super) fn load(folder: PathBuf, ring: &mut Ring) -> Result<Self, StoreError> {
        make_private(&folder)?;
        let mut segments = Self { list: VecDeque::new(), is_abandoned: false, open: None, written_through: 0, folder };
        for path in segments.paths()? {
            let segment = load_segment(path, segments.written_through, ring)?;
            segments.written_through = segments.written_through.max(segment.last_sequence);
            segments.list.push_back(segment);
        }
        if segments.written_through > 0 {
            ring.go_on_after(segments.written_through);
            ring.skip(RESTART_GAP);
        }
        segments.reopen_last()?;
        Ok(segments)
    }

    pub(super) fn abandon(&mut self) {
        self.is_abandoned = true;
        self.open = None;
        self.list.clear();
    }

    /// What `write` has to be given next.
    pub(super) fn written_through(&self) -> u64 {
        self.written_through
    }

    /// Appends `entries`, then removes what lies wholly before `first_sequence`. `bytes` is what the journal holds.
    pub(super) fn write(&mut self, entries: &[Held], first_sequence: u64, bytes: u64) -> Result<(), StoreError> {
        if self.is_abandoned {
            return Ok(());
        }
        let segment_bytes = (bytes / SEGMENTS_PER_JOURNAL).max(SEGMENT_BYTES_MIN);
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let mut segment = self.segment_for(first.sequence, segment_bytes)?;
            let mut buffer = Vec::new();
            let mut count = 0;
            for held in rest {
                if count > 0 && segment.size_bytes + buffer.len() as u64 >= segment_bytes {
                    break;
                }
                encode(held, &mut buffer);
                segment.last_sequence = held.sequence;
                count += 1;
            }
            segment.size_bytes += buffer.len() as u64;
            self.append(&buffer, segment)?;
            rest = &rest[count..];
        }
        self.remove_before(first_sequence)?;
        self.empty_last(first_sequence)
    }

    /// Nothing is held any more: an empty segment, which knows the sequence by its name, takes the place of the last.
    fn empty_last(&mut self, first_sequence: u64) -> Result<(), StoreError> {
        let is_empty = self.list.back().is_none_or(|last| last.size_bytes <= MAGIC.len() as u64);
        if is_empty || first_sequence <= self.written_through {
            return Ok(());
        }
        self.open = None;
        let segment = self.segment_for(first_sequence, 0)?;
        self.list.push_back(segment);
        self.remove_before(first_sequence)
    }

    /// The open segment while it has room, else a new one; the caller hands it to `append`.
    fn segment_for(&mut self, first_sequence: u64, segment_bytes: u64) -> Result<Segment, StoreError> {
        if self.open.is_some()
            && self.list.back().is_some_and(|last| last.size_bytes < segment_bytes)
            && let Some(last) = self.list.pop_back()
        {
            return Ok(last);
        }
        let path = self.folder.join(format!("{first_sequence:016x}.{EXTENSION}"));
        let mut file = private_file()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(|error| StoreError::io("write", &path, &error))?;
        file.write_all(MAGIC).map_err(|error| StoreError::io("write", &path, &error))?;
        sync(&self.folder)?;
        // One that holds no entry may have had the same name.
        self.list.retain(|segment| segment.path != path);
        self.open = Some(file);
        Ok(Segment { path, last_sequence: 0, size_bytes: MAGIC.len() as u64 })
    }

    fn append(&mut self, buffer: &[u8], segment: Segment) -> Result<(), StoreError> {
        let Some(mut file) = self.open.take() else { return Ok(()) };
        let written = file.write_all(buffer).and_then(|()| file.sync_data());
        let Err(error) = written else {
            self.open = Some(file);
            self.written_through = segment.last_sequence;
            self.list.push_back(segment);
            return Ok(());
        };
        // The segment ends in the middle of an entry. It stays closed, and the entries are written again, to a new one:
        // whoever loads both skips what it has. One without older entries goes, so that a full disk does not collect
        // files.
        let error = StoreError::io("write", &segment.path, &error);
        if segment.size_bytes == (MAGIC.len() + buffer.len()) as u64 {
            let _ = std::fs::remove_file(&segment.path);
        } else {
            self.list.push_back(segment);
        }
        Err(error)
    }

    /// The last segment stays, whatever it holds: it knows the sequence.
    fn remove_before(&mut self, first_sequence: u64) -> Result<(), StoreError> {
        while self.list.len() > 1 && self.list.front().is_some_and(|oldest| oldest.last_sequence < first_sequence) {
            let Some(oldest) = self.list.pop_front() else { break };
            match std::fs::remove_file(&oldest.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &oldest.path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn reopen_last(&mut self) -> Result<(), StoreError> {
        let Some(last) = self.list.back() else { return Ok(()) };
        if last.size_bytes < MAGIC.len() as u64 {
            return Ok(());
        }
        // The tail that was torn goes, so that what is appended can be read.
        let open = || {
            let file = private_file().append(true).open(&last.path)?;
            file.set_len(last.size_bytes)?;
            Ok(file)
        };
        self.open = Some(open().map_err(|error| StoreError::io("open", &last.path, &error))?);
        Ok(())
    }

    fn paths(&self) -> Result<Vec<PathBuf>, StoreError> {
        let list = || {
            let mut paths = Vec::new();
            for entry in std::fs::read_dir(&self.folder)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == EXTENSION) {
                    paths.push(path);
                }
            }
            // Sixteen digits each: the order of names is the order of sequences.
            paths.sort();
            Ok(paths)
        };
        list().map_err(|error| StoreError::io("list", &self.folder, &error))
    }
}

fn load_segment(path: PathBuf, loaded_through: u64, ring: &mut Ring) -> Result<Segment, StoreError> {
    // Its name says how far the sequence had come, even where it holds no entry.
    let named = path.file_stem().and_then(|name| u64::from_str_radix(&name.to_string_lossy(), 16).ok());
    let before = named.map_or(0, |first| first.saturating_sub(1));
    let mut segment = Segment { last_sequence: loaded_through.max(before), size_bytes: 0, path };
    let file = File::open(&segment.path).map_err(|error| StoreError::io("read", &segment.path, &error))?;
    let mut reader = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    match reader.read_exact(&mut magic) {
        Ok(()) if magic == *MAGIC => segment.size_bytes = MAGIC.len() as u64,
        Ok(()) => return Ok(damaged(segment)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(segment),
        Err(error) => return Err(StoreError::io("read", &segment.path, &error)),
    }
    loop {
        match read_entry(&mut reader) {
            Ok(Some((held, size_bytes))) => {
                segment.size_bytes += size_bytes;
                if held.sequence > segment.last_sequence {
                    segment.last_sequence = held.sequence;
                    ring.restore(held.sequence, &held.stream, held.at_ms, held.value);
                }
            }
            Ok(None) => return Ok(segment),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
                return Ok(damaged(segment));
            }
            Err(error) => return Err(StoreError::io("read", &segment.path, &error)),
        }
    }
}

/// A killed server or a full disk tears the last entry; that is no reason not to start.
fn damaged(segment: Segment) -> Segment {
    tracing::warn!("{} is torn or damaged after byte {}", segment.path.display(), segment.size_bytes);
    segment
}

fn encode(held: &Held, buffer: &mut Vec<u8>) {
    let body_bytes = BODY_HEAD_BYTES + held.stream.len() + held.value.len();
    // Both lengths are bounded by the ring.
    buffer.extend_from_slice(&(body_bytes as u32).to_be_bytes());
    let check_at = buffer.len();
    buffer.extend_from_slice(&[0; CHECK_BYTES]);
    let body_at = buffer.len();
    buffer.extend_from_slice(&held.sequence.to_be_bytes());
    buffer.extend_from_slice(&held.at_ms.to_be_bytes());
    buffer.extend_from_slice(&(held.stream.len() as u16).to_be_bytes());
    buffer.extend_from_slice(held.stream.as_bytes());
    buffer.extend_from_slice(&held.value);
    let check = check(&buffer[body_at..]);
    buffer[check_at..body_at].copy_from_slice(&check);
}

/// The next entry and its size in the file; `None` at the end.
fn read_entry(reader: &mut impl Read) -> io::Result<Option<(Held, u64)>> {
    let mut length = [0; 4];
    if reader.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut length[1..])?;
    let body_bytes = u32::from_be_bytes(length) as usize;
    if !(BODY_HEAD_BYTES..=BODY_BYTES_MAX).contains(&body_bytes) {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut stored_check = [0; CHECK_BYTES];
    reader.read_exact(&mut stored_check)?;
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body)?;
    if check(&body) != stored_check {
        return Err(ErrorKind::InvalidData.into());
    }
    let held = decode(Bytes::from(body)).ok_or(ErrorKind::InvalidData)?;
    Ok(Some((held, (length.len() + CHECK_BYTES + body_bytes) as u64)))
}

fn decode(body: Bytes) -> Option<Held> {
    let (sequence, rest) = body.split_first_chunk::<8>()?;
    let (at_ms, rest) = rest.split_first_chunk::<8>()?;
    let (stream_bytes, rest) = rest.split_first_chunk::<2>()?;
    let (stream, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*stream_bytes)))?;
    Some(Held {
        sequence: Some(u64::from_be_bytes(*sequence)).filter(|sequence| *sequence <= SEQUENCE_MAX)?,
        at_ms: i64::from_be_bytes(*at_ms),
        stream: std::str::from_utf8(stream).ok()?.into(),
        value: Bytes::copy_from_slice(value),
    })
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest::digest(&digest::SHA256, body).as_ref()[..CHECK_BYTES]);
    check
}

/// A name of any characters as a safe file name.
pub(super) fn folder_below(journals: &Path, name: &str) -> PathBuf {
    let mut safe = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => safe.push(char::from(byte)),
            _ => safe.push_str(&format!("%{byte:02x}")),
        }
    }
    journals.join(safe)
}
