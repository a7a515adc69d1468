//! Medians and their ratios, printed.

use std::io::Write;

/// The times of a round, in seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) processor: f64,
}

/// The rounds of several subjects.
pub(crate) struct Table<const N: usize> {
    names: [&'static str; N],
    /// Per call: microseconds of wall time and of processor time, and iterations of the context.
    columns: [[Vec<f64>; 3]; N],
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(names: [&'static str; N]) -> Self {
        Self { names, columns: std::array::from_fn(|_| Default::default()) }
    }

    /// Adds a round of `n` calls.
    pub(crate) fn note(&mut self, n: u32, costs: [Cost; N], iterations: [u64; N]) {
        for ((columns, cost), iterations) in self.columns.iter_mut().zip(costs).zip(iterations) {
            columns[0].push(cost.wall * 1e6 / f64::from(n));
            columns[1].push(cost.processor * 1e6 / f64::from(n));
            columns[2].push(iterations as f64 / f64::from(n));
        }
    }

    /// Prints every subject, and the ratios of `subject` to each of the others.
    pub(crate) fn print(&self, subject: usize, others: &[usize]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        for (name, [wall, processor, iterations]) in self.names.iter().zip(&self.columns) {
            writeln!(
                out,
                "  {name:20} {:7.1} us a call {:7.1} us of processor {:6.2} iterations",
                median(wall.clone()),
                median(processor.clone()),
                median(iterations.clone()),
            )?;
        }
        for &other in others {
            // Round by round, so that other work on the machine affects both sides of a ratio.
            let [wall, processor, iterations] = std::array::from_fn(|i| {
                let (ours, theirs) = (&self.columns[subject][i], &self.columns[other][i]);
                median(theirs.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect())
            });
            writeln!(
                out,
                "  {} makes {wall:.2} x the calls a second of {}, {processor:.2} x a second of \
                 processor, {iterations:.2} x an iteration",
                self.names[subject], self.names[other],
            )?;
        }
        Ok(())
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
