//! Options of every command that shares what is complete.

use clap::Args;
use riverrun::SeedLimits;

use crate::units::Span;

/// What sharing goes on until; the first that is reached ends it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "End")]
pub(crate) struct SeedEnd {
    /// Share until this ratio of bytes was sent
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    seed_ratio: Option<f64>,

    /// Share for this long
    #[arg(long, value_name = "DUR")]
    seed_time: Option<Span>,

    /// Share until nobody has wanted anything for this long
    #[arg(long, value_name = "DUR", hide_short_help = true)]
    seed_idle: Option<Span>,
}

impl SeedEnd {
    pub(crate) fn limits(&self) -> SeedLimits {
        let [time, idle] = [&self.seed_time, &self.seed_idle].map(|span| span.as_ref().map(|span| span.0));
        SeedLimits { ratio: self.seed_ratio, time, idle }
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a ratio: write it like 1.0"))?;
    if number.is_finite() && number >= 0.0 {
        Ok(number)
    } else {
        Err(format!("{text:?} is not a ratio: write it like 1.0"))
    }
}
