//! `-o -`: the content on standard output, in order, each piece once it is verified.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc;

use tokio::sync::oneshot;

/// A thread that writes what is verified. A slow reader holds up this thread alone.
#[derive(Debug)]
pub(crate) struct StreamOut {
    /// How many bytes from the start are verified.
    verified: mpsc::Sender<u64>,
    sent: u64,
}

impl StreamOut {
    /// Begins to write the file at `path` to `out`. The receiver gets the end of it: all was written, or why not.
    pub(crate) fn start(
        path: PathBuf,
        mut out: Box<dyn Write + Send>,
    ) -> io::Result<(Self, oneshot::Receiver<io::Result<()>>)> {
        let (verified, news) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name("stdout".into()).spawn(move || {
            let _ = end.send(write_all(&path, &news, &mut *out));
        })?;
        Ok((Self { verified, sent: 0 }, ended))
    }

    /// Tells how many bytes from the start are verified. Dropping the value tells that there are no more.
    pub(crate) fn verified(&mut self, bytes: u64) {
        if bytes > self.sent {
            self.sent = bytes;
            // The thread is gone only if it could not write; its end says so.
            let _ = self.verified.send(bytes);
        }
    }
}

fn write_all(path: &PathBuf, news: &mpsc::Receiver<u64>, out: &mut dyn Write) -> io::Result<()> {
    let mut file: Option<File> = None;
    let mut written = 0;
    while let Ok(verified) = news.recv() {
        let file = match &mut file {
            Some(file) => file,
            none => none.insert(File::open(path)?),
        };
        let copied = io::copy(&mut file.take(verified - written), out)?;
        written += copied;
        if written != verified {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.flush()?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_what_is_verified_comes_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"0123456789").unwrap();
        let sink = Sink::default();
        let (mut stream, ended) = StreamOut::start(path, Box::new(sink.clone())).unwrap();
        stream.verified(4);
        stream.verified(2);
        stream.verified(7);
        drop(stream);
        ended.blocking_recv().unwrap().unwrap();
        assert_eq!(*sink.0.lock().unwrap(), b"0123456");
    }
}
