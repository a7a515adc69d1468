//! A picture of the window with the dialogs over it, taken without an external tool.

use std::path::Path;

use anyhow::Context as _;
use gtk4::prelude::*;
use gtk4::{Snapshot, Window, graphene};

use crate::frames::windows;

/// Writes the window and the dialogs over it as PNG.
///
/// # Errors
/// When the window is not on the screen, or the file cannot be written.
pub fn take(window: &Window, file: &Path) -> anyhow::Result<()> {
    let renderer = window.renderer().context("the window is not on the screen")?;
    let (width, height) = (window.width() as f32, window.height() as f32);
    let snapshot = Snapshot::new();
    draw(window, &snapshot);
    // The list begins with the newest.
    for dialog in windows().into_iter().rev().filter(|other| other != window && other.is_mapped()) {
        let (w, h) = (dialog.width() as f32, dialog.height() as f32);
        snapshot.save();
        snapshot.translate(&graphene::Point::new((width - w) / 2.0, (height - h) / 2.0));
        draw(&dialog, &snapshot);
        snapshot.restore();
    }
    let node = snapshot.to_node().context("the window is empty")?;
    let whole = graphene::Rect::new(0.0, 0.0, width, height);
    let texture = renderer.render_texture(node, Some(&whole));
    texture.save_to_png(file).context("cannot write the file")
}

/// Draws a window as it would look now. Not with a `WidgetPaintable`, which holds the last frame,
/// and nothing while a frame is due.
fn draw(window: &Window, snapshot: &Snapshot) {
    // Widgets that have changed since the last frame are not laid out yet.
    window.allocate(window.width(), window.height(), -1, None);
    let (width, height) = (f64::from(window.width()), f64::from(window.height()));
    snapshot.render_background(&window.style_context(), 0.0, 0.0, width, height);
    let mut child = window.first_child();
    while let Some(widget) = child {
        window.snapshot_child(&widget, snapshot);
        child = widget.next_sibling();
    }
}
