//! `harness doctor`: can this machine measure?

use std::fmt::Write as _;
use std::thread;

use loopnest_core::Word;

use super::{launch, on_interrupt, print};
use crate::exit::Exit;
use crate::machine;
use crate::matrix::{self, Plan, Silent};
use crate::registry::Registry;
use crate::threads;

pub(super) fn doctor(registry: &Registry, repeat: u32) -> anyhow::Result<Exit> {
    let mut text = String::new();
    let mut able = true;
    let m = machine::describe();
    writeln!(text, "ok    glib {}, tokio {}, {}, {} cpus", m.glib, m.tokio, m.os, m.cpus)?;
    let (pid, tid) = (std::process::id(), threads::this_thread());
    let readable =
        threads::voluntary_switches(pid, tid) > 0 || !threads::cpu_time(pid, tid).is_zero();
    if readable {
        writeln!(text, "ok    /proc tells context switches and processor time of a thread")?;
    } else {
        able = false;
        writeln!(text, "fail  /proc tells nothing of threads: spin and tick cannot be told apart")?;
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().and_then(|n| n.parse::<f32>().ok());
    if let Some(load) = load.filter(|load| *load > m.cpus as f32) {
        writeln!(text, "note  load {load} on {} cpus: counts stay valid, times do not", m.cpus)?;
    }
    let plan = Plan {
        cells: registry
            .controls()
            .iter()
            .map(|(name, _)| (name.clone(), "control".to_owned()))
            .collect(),
        repeat,
        seed: 0,
        jobs: thread::available_parallelism().map_or(1, usize::from),
        launch: launch()?,
    };
    let interrupted = on_interrupt()?;
    let found = matrix::run(registry, &plan, &Silent, &interrupted)?;
    if found.result.partial {
        return Ok(Exit::Interrupted);
    }
    for (name, known) in registry.controls() {
        let Some(cell) = found.result.cell(name, "control") else { continue };
        let right = cell.verdict == *known && !cell.is_mixed();
        able &= right;
        let said = cell.text();
        if right {
            writeln!(text, "ok    {name}: {said} {}/{}", cell.agree, cell.repeats)?;
        } else {
            let known: Vec<_> = known.iter().copied().map(Word::name).collect();
            let known = known.join("+");
            writeln!(text, "fail  {name}: {said} {}/{}, is {known}", cell.agree, cell.repeats)?;
            writeln!(text, "      {}", cell.why)?;
        }
    }
    if able {
        writeln!(text, "this machine can measure")?;
    } else {
        writeln!(text, "this machine cannot measure: verdicts found on it mean nothing")?;
    }
    print(text.as_bytes())?;
    Ok(if able { Exit::Ok } else { Exit::CannotMeasure })
}
