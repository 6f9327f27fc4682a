//! A download that goes to standard output.

use tokio::sync::oneshot::error::RecvError;

use super::{PATIENCE, Run};
use crate::command::download::stream_out::StreamOut;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};

/// Gets how writing to standard output ended.
pub(super) type Written = tokio::sync::oneshot::Receiver<std::io::Result<()>>;

impl Run<'_> {
    /// Hands what is verified from the start on to standard output.
    pub(super) fn stream_verified(&mut self, all: bool) {
        let (Some((stream, _)), Some(running)) = (&mut self.stream, self.running.first()) else { return };
        let length = running.job.loaded.length;
        let bytes = match running.torrent.have().iter_missing().next() {
            Some(piece) if !all => u64::from(piece.0) * u64::from(running.job.loaded.piece_length()),
            _ => length,
        };
        stream.verified(bytes.min(length));
    }

    /// Waits until everything is written to standard output.
    pub(super) async fn finish_stream(&mut self, name: &str) -> Result<(), Failure> {
        self.stream_verified(true);
        let Some((stream, mut ended)) = self.stream.take() else { return Ok(()) };
        drop(stream);
        tokio::select! {
            written = &mut ended => written_outcome(written)?,
            exit = self.signals.next() => return Err(Failure::silent(exit)),
        }
        self.env.say(format_args!("Downloaded {name} to standard output."));
        Ok(())
    }

    /// Standard output cannot be written any more.
    pub(super) async fn stream_ended(&mut self, written: Result<std::io::Result<()>, RecvError>) -> Outcome {
        self.leave(PATIENCE).await;
        self.progress.clear(self.env);
        written_outcome(written)?;
        Err(Failure::internal("standard output ended before the content"))
    }
}

/// Waits for the end of writing to standard output; for ever if nothing goes there.
pub(super) async fn written(stream: &mut Option<(StreamOut, Written)>) -> Result<std::io::Result<()>, RecvError> {
    match stream {
        Some((_, written)) => written.await,
        None => std::future::pending().await,
    }
}

fn written_outcome(written: Result<std::io::Result<()>, RecvError>) -> Result<(), Failure> {
    match written {
        // The reader has gone: nobody is left to be told.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::silent(Exit::Incomplete)),
        Ok(result) => Ok(result?),
        Err(_) => Err(Failure::internal("the thread that writes to standard output is gone")),
    }
}
