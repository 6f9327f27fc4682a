//! A download that goes to standard output.

use super::{Job, PATIENCE, Run};
use crate::command::download::stream_out::{End, StreamOut};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use riverrun::Torrent;

impl Run<'_> {
    /// Has the one file that is wanted written to standard output, if that is its place.
    pub(super) fn write_out(&mut self, torrent: &Torrent, job: &Job) -> Result<(), Failure> {
        let Some(file) = self.preparation.temporary.as_ref().and_then(|_| job.chosen().next()) else { return Ok(()) };
        let reader = torrent.file_reader(file).map_err(|error| Failure::internal(error.to_string()))?;
        let out = std::mem::replace(&mut self.env.out, Box::new(std::io::sink()));
        self.stream = Some(StreamOut::start(reader, out)?);
        Ok(())
    }

    /// Waits until everything is written to standard output.
    pub(super) async fn finish_stream(&mut self, name: &str) -> Result<(), Failure> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        tokio::select! {
            end = stream.end() => match end {
                End::Written => {}
                End::NotRead(error) => return Err(Failure::internal(error.to_string())),
                End::NotWritten(error) => return Err(not_written(error)),
            },
            exit = self.signals.next() => return Err(Failure::silent(exit)),
        }
        self.env.say(format_args!("Downloaded {name} to standard output."));
        Ok(())
    }

    /// Standard output cannot be written any more.
    pub(super) async fn stream_broke(&mut self, failure: Failure) -> Outcome {
        self.leave(PATIENCE).await;
        self.progress.clear(self.env);
        Err(failure)
    }
}

/// Waits until standard output cannot be written any more; for ever if nothing goes there. Of all other ends the torrent tells.
pub(super) async fn broken(stream: &mut Option<StreamOut>) -> Failure {
    if let Some(stream) = stream
        && let End::NotWritten(error) = stream.end().await
    {
        return not_written(error);
    }
    std::future::pending().await
}

fn not_written(error: &std::io::Error) -> Failure {
    match error.kind() {
        // The reader has gone: nobody is left to be told.
        std::io::ErrorKind::BrokenPipe => Failure::silent(Exit::Incomplete),
        kind => std::io::Error::new(kind, error.to_string()).into(),
    }
}
