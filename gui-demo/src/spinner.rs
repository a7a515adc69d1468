//! The spinner: an arc that moves with every frame while async tasks are running.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gtk4::glib::ControlFlow;
use gtk4::prelude::*;
use gtk4::{DrawingArea, TickCallbackId, cairo};

use crate::frames::Frames;

/// The spinner. It requests every frame while it turns, and none otherwise.
#[derive(Debug)]
pub struct Spinner {
    area: DrawingArea,
    turns: Rc<Cell<bool>>,
    tick: RefCell<Option<TickCallbackId>>,
}

impl Spinner {
    /// Draws into this area. The counted frames move it.
    pub fn new(area: &DrawingArea, frames: &Rc<Frames>) -> Self {
        let turns = Rc::new(Cell::new(false));
        let (frames, drawn) = (frames.clone(), turns.clone());
        area.set_draw_func(move |area, cr, width, height| {
            let angle = frames.n() as f64 * 0.12;
            draw(area, cr, (width.into(), height.into()), angle, drawn.get());
        });
        Self { area: area.clone(), turns, tick: RefCell::default() }
    }

    /// Turns, or stops and is dim.
    pub fn turn(&self, on: bool) {
        self.turns.set(on);
        let before = self.tick.take();
        if let Some(before) = before {
            before.remove();
        }
        self.area.queue_draw();
        let id = on.then(|| {
            self.area.add_tick_callback(|area, _| {
                area.queue_draw();
                ControlFlow::Continue
            })
        });
        self.tick.replace(id);
    }
}

fn draw(
    area: &DrawingArea,
    cr: &cairo::Context,
    (width, height): (f64, f64),
    angle: f64,
    on: bool,
) {
    let (x, y) = (width / 2.0, height / 2.0);
    let ink = area.style_context().color();
    let alpha = if on { 0.9 } else { 0.3 };
    cr.set_source_rgba(ink.red().into(), ink.green().into(), ink.blue().into(), alpha);
    cr.set_line_width(3.0);
    cr.arc(x, y, x - 4.0, angle, angle + 4.4);
    // The surface remembers an error.
    let _ = cr.stroke();
}
