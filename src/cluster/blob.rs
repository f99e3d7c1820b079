//! What is longer than a message: in pieces, whose names have its digest, so that two writers do not mix; whoever
//! reads it has it whole or not at all.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{Bus, BusError, RunId};

/// The longest, in bytes.
const LONGEST: usize = 1 << 30;

/// What stands under the name itself, written last.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    v: u32,
    length: usize,
    pieces: usize,
    sha256: String,
}

impl Manifest {
    fn piece(&self, name: &str, number: usize) -> String {
        let short = self.sha256.get(..16).unwrap_or_default();
        format!("{name}-{short}-{number}")
    }
}

impl Bus {
    /// Stores bytes under a name of at most 30 letters, which is a key's.
    pub async fn put_blob(&self, run: &RunId, name: &str, bytes: &[u8]) -> Result<(), BusError> {
        if bytes.len() > LONGEST {
            return Err(BusError::TooMuch {
                what: "a list or scenario",
                length: bytes.len() as u64,
                most: LONGEST as u64,
            });
        }
        let pieces = bytes.chunks(self.max_body().max(1));
        let manifest = Manifest {
            v: 1,
            length: bytes.len(),
            pieces: pieces.len(),
            sha256: hex(bytes),
        };
        for (number, piece) in pieces.enumerate() {
            self.put(run, &manifest.piece(name, number), piece.to_vec())
                .await?;
        }
        let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
        self.put(run, name, manifest).await
    }

    /// What was stored, compared with its length and digest.
    pub async fn blob(&self, run: &RunId, name: &str) -> Result<Option<Vec<u8>>, BusError> {
        let Some(manifest) = self.get(run, name).await? else {
            return Ok(None);
        };
        let damaged = || BusError::Damaged(format!("{run}.{name}"));
        let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|_| damaged())?;
        if manifest.length > LONGEST || manifest.pieces > manifest.length {
            return Err(damaged());
        }
        let mut bytes = Vec::with_capacity(manifest.length);
        for number in 0..manifest.pieces {
            let piece = self.get(run, &manifest.piece(name, number)).await?;
            bytes.extend(piece.ok_or_else(damaged)?);
            if bytes.len() > manifest.length {
                return Err(damaged());
            }
        }
        if bytes.len() != manifest.length || hex(&bytes) != manifest.sha256 {
            return Err(damaged());
        }
        Ok(Some(bytes))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
