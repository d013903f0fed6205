//! What a read-only script of the author said.

use super::Answer;
use super::read::lossy;
use crate::host::Reply;

/// The outcome of a script.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Said {
    pub code: i32,
    /// Standard output, invalid UTF-8 replaced, at most 64 KiB.
    pub out: String,
    pub err: String,
}

/// Bytes of output that are kept of a script.
const KEPT: usize = 64 * 1024;

pub fn answer(reply: &Reply) -> Result<Answer, String> {
    if reply.timed_out {
        return Err("the script took too long and was ended".into());
    }
    Ok(Answer::Shell(Said { code: reply.code, out: kept(&reply.out), err: kept(&reply.err) }))
}

fn kept(bytes: &[u8]) -> String {
    let mut text = lossy(&bytes[..bytes.len().min(KEPT)]);
    // A replacement sign is longer than the byte it stands for.
    text.truncate(text.floor_char_boundary(KEPT));
    text
}
