//! Long bodies in blocks (RFC 7959): joins requests that come in Block1 pieces, cuts answers into
//! Block2 pieces. What it holds for a peer is bounded in number, size and time.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::message::{Answer, Block, CONTINUE, INCOMPLETE, Request, TOO_LARGE};

/// A peer and what it talks about.
type Key = (SocketAddr, Vec<String>);

/// The bodies under way.
#[derive(Default)]
pub(super) struct Blockwise {
    uploads: Held<Vec<u8>>,
    downloads: Held<Answer>,
}

impl Blockwise {
    /// Whether the request is whole, with its body joined; otherwise the answer to this piece.
    pub(super) fn join(
        &mut self,
        peer: SocketAddr,
        request: &mut Request,
        now: Instant,
    ) -> Result<(), Answer> {
        let key = (peer, request.path.clone());
        if let Some(block) = request.block2.filter(|block| block.number > 0) {
            let whole = self.downloads.get(&key, now).cloned();
            let whole = whole.ok_or_else(|| Answer::code(INCOMPLETE))?;
            return Err(cut(whole, block));
        }
        let Some(block) = request.block1 else {
            return Ok(());
        };
        let coded = |code| Answer {
            block1: Some(block),
            ..Answer::code(code)
        };
        let start = block.number as usize * block.size();
        let mut body = match block.number {
            0 => Vec::new(),
            _ => self.uploads.take(&key, now).unwrap_or_default(),
        };
        if body.len() != start {
            return Err(coded(INCOMPLETE));
        }
        body.append(&mut request.payload);
        if body.len() > UPLOAD {
            return Err(coded(TOO_LARGE));
        }
        if block.more {
            self.uploads.put(key, body, now);
            return Err(coded(CONTINUE));
        }
        request.payload = body;
        Ok(())
    }

    /// The answer, or its first piece if it is too long for one message.
    pub(super) fn split(
        &mut self,
        peer: SocketAddr,
        request: &Request,
        mut answer: Answer,
        now: Instant,
    ) -> Answer {
        answer.block1 = request.block1;
        let block = request.block2.unwrap_or(Block {
            number: 0,
            more: false,
            exponent: EXPONENT,
        });
        if answer.payload.len() <= block.size() {
            return answer;
        }
        let key = (peer, request.path.clone());
        let first = cut(answer.clone(), block);
        answer.block1 = None;
        self.downloads.put(key, answer, now);
        first
    }
}

fn cut(mut whole: Answer, block: Block) -> Answer {
    let start = block.number as usize * block.size();
    if start >= whole.payload.len() {
        return Answer::code(INCOMPLETE);
    }
    let end = whole.payload.len().min(start + block.size());
    whole.block2 = Some(Block {
        more: end < whole.payload.len(),
        ..block
    });
    whole.payload = Bytes::copy_from_slice(&whole.payload[start..end]);
    whole
}

/// Things held for a while; the oldest go when there are too many.
struct Held<T> {
    things: HashMap<Key, (Instant, T)>,
    order: VecDeque<(Instant, Key)>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self {
            things: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Held<T> {
    fn put(&mut self, key: Key, thing: T, now: Instant) {
        self.expire(now);
        self.order.push_back((now, key.clone()));
        self.things.insert(key, (now, thing));
    }

    fn get(&mut self, key: &Key, now: Instant) -> Option<&T> {
        self.expire(now);
        self.things.get(key).map(|(_, thing)| thing)
    }

    fn take(&mut self, key: &Key, now: Instant) -> Option<T> {
        self.expire(now);
        self.things.remove(key).map(|(_, thing)| thing)
    }

    fn expire(&mut self, now: Instant) {
        while let Some((put, key)) = self.order.front() {
            if now < *put + LIFETIME && self.order.len() < HELD {
                return;
            }
            // A thing put again later has another time, and stays.
            if self.things.get(key).is_some_and(|(at, _)| at == put) {
                self.things.remove(key);
            }
            self.order.pop_front();
        }
    }
}

/// 1024 bytes, as the platform cuts.
const EXPONENT: u8 = 6;
/// The longest request body in blocks, bytes.
const UPLOAD: usize = 1 << 20;
/// Bodies under way in each direction.
const HELD: usize = 1_000;
/// EXCHANGE_LIFETIME.
const LIFETIME: Duration = Duration::from_secs(247);

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: ([u8; 4], u16) = ([127, 0, 0, 1], 5);

    fn request(block1: Option<(u32, bool)>, block2: Option<u32>, payload: &[u8]) -> Request {
        Request {
            block1: block1.map(|(number, more)| Block {
                number,
                more,
                exponent: 0,
            }),
            block2: block2.map(|number| Block {
                number,
                more: false,
                exponent: 6,
            }),
            payload: payload.to_vec(),
            ..Request::default()
        }
    }

    #[tokio::test]
    async fn joins_pieces_in_order_and_refuses_gaps() {
        let (mut blocks, now) = (Blockwise::default(), Instant::now());
        let mut join = |mut request: Request| {
            let joined = blocks.join(PEER.into(), &mut request, now);
            joined
                .map(|()| request.payload)
                .map_err(|answer| answer.code)
        };
        assert_eq!(
            join(request(Some((0, true)), None, &[1; 16])),
            Err(CONTINUE)
        );
        assert_eq!(
            join(request(Some((1, false)), None, &[2; 3])).map(|body| body.len()),
            Ok(19)
        );
        assert_eq!(
            join(request(Some((1, false)), None, &[2; 3])),
            Err(INCOMPLETE)
        );
    }

    #[tokio::test]
    async fn cuts_a_long_answer_and_serves_the_rest() {
        let (mut blocks, now) = (Blockwise::default(), Instant::now());
        let long = Answer {
            payload: vec![7; 2_500].into(),
            ..Answer::code(CONTINUE)
        };
        let first = blocks.split(PEER.into(), &request(None, None, b""), long, now);
        assert_eq!(first.payload.len(), 1_024);
        assert!(first.block2.is_some_and(|block| block.more));
        for (number, length, more) in [(1, 1_024, true), (2, 452, false)] {
            let mut piece = request(None, Some(number), b"");
            let answer = blocks.join(PEER.into(), &mut piece, now).unwrap_err();
            assert_eq!(answer.payload.len(), length);
            assert_eq!(answer.block2.map(|block| block.more), Some(more));
        }
        let mut beyond = request(None, Some(3), b"");
        let answer = blocks.join(PEER.into(), &mut beyond, now).unwrap_err();
        assert_eq!(answer.code, INCOMPLETE);
    }
}
