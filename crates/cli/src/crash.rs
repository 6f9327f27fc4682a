//! What is left of a bug: one line that asks for a report, and no backtrace unless all is asked for.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::failure::{Failure, Outcome};
use crate::render::shown;

/// Runs `work`; a panic becomes a failure. With `loud`, the panic prints itself as well.
pub(crate) fn guarded(loud: bool, work: impl FnOnce() -> Outcome) -> Outcome {
    if !loud {
        // A task of the engine may end in one, too: the log has it.
        std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Failure::internal(format!("something that cannot be has happened: {}", shown(&text))))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_bug_ends_with_one_line_and_code_1() {
        let failure = guarded(true, || panic!("{} is odd", 2)).unwrap_err();
        assert_eq!(failure.exit, Exit::Internal);
        assert_eq!(failure.message, "something that cannot be has happened: 2 is odd");
        assert!(failure.help.unwrap().contains("-vv"));
        assert_eq!(guarded(true, || Ok(Exit::Ok)), Ok(Exit::Ok));
    }
}
