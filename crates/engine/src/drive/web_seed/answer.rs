//! One part of a file, from the request to the end of its answer.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Response, header};
use riverrun_metainfo::FileIndex;
use riverrun_proto::limits::{MAX_WEB_SEED_SKIP, WEB_SEED_TIMEOUT};
use riverrun_proto::tracker::{AnnounceError, PolicyError};
use riverrun_proto::web_seed::{Head, WebSeedError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::WebSeed;
use super::plan::Part;
use crate::drive::Core;
use crate::http::explain;

/// A request whose answer is awaited. Dropped, it is not awaited any more.
pub(super) struct Asked {
    pub(super) file: FileIndex,
    range: Range<u64>,
    /// The length of the whole file, in bytes.
    length: u64,
    task: JoinHandle<Result<(Response, Option<OwnedSemaphorePermit>), WebSeedError>>,
}

/// An answer that is in order so far, and is being read.
pub(super) struct Answer {
    pub(super) file: FileIndex,
    response: Response,
    /// Bytes that come before what is wanted.
    skip: u64,
    /// Bytes of what is wanted that are to come yet.
    pub(super) left: u64,
    /// More of the file comes behind them, as the server knows no ranges.
    pub(super) whole: bool,
    /// The server has told how much comes, so that nothing can follow it.
    bounded: bool,
    ended: bool,
    /// Where in the file the next byte stands that comes.
    at: u64,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Asked {
    /// Asks for a part of a file, once it is our turn at the server.
    ///
    /// # Errors
    /// There is no URL for the file.
    pub(super) fn new(
        core: &Arc<Core>,
        source: &WebSeed,
        file: FileIndex,
        range: Range<u64>,
    ) -> Result<Self, WebSeedError> {
        let length = core.layout().files().get(file.0 as usize).map_or(0, |file| file.length);
        // As a server would say of such a URL (URI Too Long).
        let url = source.file(core.info(), file).map_err(|_| WebSeedError::Missing(414))?;
        let part = (range != (0..length)).then(|| range.clone());
        let (engine, authority, by_user) = (core.engine.clone(), source.at.authority(), source.by_user);
        let task = tokio::spawn(async move {
            let turn = engine.web_servers.turn(authority).await;
            let asked = timeout(WEB_SEED_TIMEOUT, engine.http.get_part(&url, part, by_user)).await;
            let response = asked.map_err(|_| WebSeedError::Timeout)?.map_err(error)?;
            Ok((response, turn))
        });
        Ok(Self { file, range, length, task })
    }

    /// How many bytes were asked for.
    pub(super) fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Waits for the answer and judges its head. To be called once more if it was broken off, and not after it has come.
    ///
    /// # Errors
    /// It brings nothing, or something else.
    pub(super) async fn answer(&mut self) -> Result<Answer, WebSeedError> {
        let done = (&mut self.task).await.map_err(|error| WebSeedError::Network(error.to_string()))?;
        let (response, turn) = done?;
        let field = |name| response.headers().get(name).map(header::HeaderValue::as_bytes);
        let head = Head {
            status: response.status().as_u16(),
            content_length: response.content_length(),
            content_range: field(header::CONTENT_RANGE),
            content_encoding: field(header::CONTENT_ENCODING),
            retry_after: field(header::RETRY_AFTER),
        };
        let body = head.judge(&self.range, self.length)?;
        Ok(Answer {
            file: self.file,
            skip: body.skip,
            left: self.length(),
            whole: body.whole,
            bounded: head.content_length.is_some(),
            ended: false,
            at: self.range.start - body.skip,
            response,
            _turn: turn,
        })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Answer {
    /// Waits for the next bytes; none if there are no more.
    ///
    /// # Errors
    /// The connection broke, or the answer ends before it should.
    pub(super) async fn chunk(&mut self) -> Result<Bytes, WebSeedError> {
        match self.response.chunk().await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) if self.left > 0 => Err(WebSeedError::Network("the answer ends too early".into())),
            Ok(None) => {
                self.ended = true;
                Ok(Bytes::new())
            }
            Err(failed) => Err(error(explain(&failed))),
        }
    }

    /// Of so many bytes that have come, how many are to be passed over.
    pub(super) fn skip(&mut self, bytes: usize) -> usize {
        let skipped = self.skip.min(bytes as u64);
        self.skip -= skipped;
        self.at += skipped;
        usize::try_from(skipped).expect("no more than there are")
    }

    /// So much of what is wanted has come.
    pub(super) fn passed(&mut self, bytes: u64) {
        self.left -= bytes;
        self.at += bytes;
    }

    /// Whether all has come and nothing is to be learned any more; `more` has come behind it.
    ///
    /// # Errors
    /// More has come than was asked for (T9).
    pub(super) fn is_over(&self, more: bool) -> Result<bool, WebSeedError> {
        match (self.left, self.whole) {
            (0, false) if more => Err(WebSeedError::Lie("sends more than it was asked for")),
            (0, false) => Ok(self.bounded || self.ended),
            _ => Ok(false),
        }
    }

    /// Whether what was asked for has come, and more of the file is about to.
    pub(super) fn is_open_end(&self) -> bool {
        self.whole && self.left == 0
    }

    /// Whether this answer, which is at an open end, brings this part too, and soon. If so, it is read on.
    pub(super) fn goes_on(&mut self, part: &Part) -> bool {
        let ahead = part.range.start.checked_sub(self.at);
        let near = ahead.filter(|ahead| part.file == Some(self.file) && *ahead <= MAX_WEB_SEED_SKIP);
        let Some(skip) = near else { return false };
        (self.skip, self.left) = (skip, part.range.end - part.range.start);
        true
    }
}

/// What went wrong before there was an answer, or in the middle of one.
fn error(error: AnnounceError) -> WebSeedError {
    match error {
        AnnounceError::Timeout => WebSeedError::Timeout,
        AnnounceError::Policy(PolicyError::LoopbackPath) => WebSeedError::Refused(
            "is on this machine, where a torrent may not send us: only its owner may name it".into(),
        ),
        refused @ (AnnounceError::Policy(_) | AnnounceError::Url(_) | AnnounceError::Certificate(_)) => {
            WebSeedError::Refused(refused.to_string())
        }
        other => WebSeedError::Network(other.to_string()),
    }
}
