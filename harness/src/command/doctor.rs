//! `harness doctor`: can this machine measure?

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use super::cells::{jobs, launch, misjudged, on_interrupt};
use super::output::print;
use crate::exit::Exit;
use crate::machine;
use crate::matrix::{self, Plan, Silent};
use crate::registry::Registry;
use crate::text::{WIDTH, wrap, wrap_after};
use crate::threads;

pub(super) fn doctor(registry: &Registry, repeat: u32) -> anyhow::Result<Exit> {
    let mut text = String::new();
    let mut able = true;
    let m = machine::describe();
    writeln!(text, "ok    glib {}, tokio {}, {}, {} cpus", m.glib, m.tokio, m.os, m.cpus)?;
    let (pid, tid) = (std::process::id(), threads::this_thread());
    // A process this young may not have given up the processor yet, nor been charged for it.
    thread::sleep(Duration::from_millis(1));
    if threads::voluntary_switches(pid, tid) > 0 {
        writeln!(text, "ok    /proc reports how often a thread slept")?;
    } else {
        able = false;
        writeln!(text, "fail  /proc reports nothing about threads: cannot tell spin from tick")?;
    }
    if threads::scheduled(pid, tid).is_some_and(|scheduled| !scheduled.cpu.is_zero()) {
        writeln!(text, "ok    the kernel says how long a thread waited for a processor")?;
    } else {
        able = false;
        let line = "fail  this kernel does not say how long a thread waited for a processor \
                    (CONFIG_SCHED_INFO): a busy machine would be taken for a stall";
        writeln!(text, "{}", wrap_after(line, WIDTH, "", 6))?;
    }
    if let Some(load) = machine::load().filter(|load| *load > m.cpus as f32) {
        let line = format!(
            "note  load {load} on {} cpus: what could not run in time is not judged, so expect \
             cells that are run again, and some that stay inconclusive",
            m.cpus
        );
        writeln!(text, "{}", wrap_after(&line, WIDTH, "", 6))?;
    }
    let plan = Plan {
        cells: registry
            .controls()
            .iter()
            .map(|(name, _)| (name.clone(), "control".to_owned()))
            .collect(),
        repeat,
        expectations: None,
        seed: 0,
        jobs: jobs(),
        launch: launch()?,
    };
    let interrupted = on_interrupt()?;
    let found = matrix::run(registry, &plan, &Silent, &interrupted)?.whole()?;
    if found.result.partial {
        return Ok(Exit::Interrupted);
    }
    let missed = misjudged(registry, &found.result);
    able &= missed.is_empty();
    for cell in &found.result.cells {
        let (name, said, votes) =
            (&cell.strategy, cell.text(), format!("{}/{}", cell.agree, cell.repeats));
        match missed.iter().find(|(missed, _)| missed.strategy == *name) {
            None => writeln!(text, "ok    {name}: {said} {votes}")?,
            Some((_, known)) => {
                writeln!(text, "fail  {name}: expected {known}, got {said} {votes}")?;
                writeln!(text, "{}", wrap(&cell.why, WIDTH, 6))?;
            }
        }
    }
    if able {
        writeln!(text, "this machine can measure")?;
    } else {
        writeln!(text, "this machine cannot measure: its verdicts mean nothing")?;
    }
    print(text.as_bytes())?;
    Ok(if able { Exit::Ok } else { Exit::CannotMeasure })
}
