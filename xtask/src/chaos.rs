//! `cargo xtask chaos`: the harmed buses of the ordinary tests, for as long as one likes.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::services::Place;
use crate::tools::Tools;

#[derive(Debug, clap::Args)]
pub(crate) struct Chaos {
    /// Minutes of harm for each bus.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    minutes: u64,
    /// Only tests with this in their name: `kills`, `full_disk`, `jetstream`, `three_nodes` or `kafka`.
    only: Option<String>,
}

impl Chaos {
    pub(crate) fn run(&self, root: &Path) -> Result<()> {
        let target = crate::target(root)?;
        let tools = Tools::install(&target)?;
        let services = Place::under(&target);
        let started = services.up_all()?;
        let mut nextest = tools.cargo("nextest");
        let which = self.only.as_deref().unwrap_or_default();
        let filter = format!("binary(scenarios) & test(/chaos::.*{which}/)");
        nextest.args(["run", "--package", "zetes", "--profile", "chaos", "--no-capture", "-E", &filter]);
        nextest.env("ZETES_SERVICES", services.file());
        nextest.env("ZETES_CHAOS_SECONDS", (self.minutes * 60).to_string()).current_dir(root);
        let passed = nextest.status()?.success();
        if started {
            services.down()?;
        }
        ensure!(passed, "the sums above, or what the test says, do not add up");
        Ok(())
    }
}
