//! `-o -`: the content on standard output, in order, each piece once it is verified.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use tokio::sync::oneshot;

/// A thread that writes what is verified. A slow reader holds up this thread alone.
#[derive(Debug)]
pub(crate) struct StreamOut {
    news: Arc<News>,
}

/// What the thread is told.
#[derive(Debug, Default)]
struct News {
    known: Mutex<Known>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// How many bytes from the start are verified.
    verified: u64,
    /// There will be no more.
    over: bool,
}

impl StreamOut {
    /// Begins to write the file at `path` to `out`. The receiver gets the end of it: all was written, or why not.
    pub(crate) fn start(
        path: PathBuf,
        mut out: Box<dyn Write + Send>,
    ) -> io::Result<(Self, oneshot::Receiver<io::Result<()>>)> {
        let news = Arc::new(News::default());
        let (end, ended) = oneshot::channel();
        let told = news.clone();
        std::thread::Builder::new().name("stdout".into()).spawn(move || {
            let _ = end.send(write_all(&path, &told, &mut *out));
        })?;
        Ok((Self { news }, ended))
    }

    /// Tells how many bytes from the start are verified. Dropping the value tells that there are no more.
    pub(crate) fn verified(&mut self, bytes: u64) {
        self.news.tell(|known| known.verified = known.verified.max(bytes));
    }
}

impl Drop for StreamOut {
    fn drop(&mut self) {
        self.news.tell(|known| known.over = true);
    }
}

impl News {
    fn tell(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// What there is beyond `written` bytes; `None` at the end.
    fn beyond(&self, written: u64) -> Option<u64> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |known: &mut Known| known.verified <= written && !known.over;
        let known = self.changed.wait_while(known, waits).unwrap_or_else(PoisonError::into_inner);
        (known.verified > written).then_some(known.verified)
    }
}

fn write_all(path: &Path, news: &News, out: &mut dyn Write) -> io::Result<()> {
    let mut file: Option<File> = None;
    let mut written = 0;
    while let Some(verified) = news.beyond(written) {
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
