//! Strip charts of the last twenty seconds, drawn with plain cairo calls: a line of a hundred
//! points costs some tens of microseconds, and a plotting library twenty times that.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::f64::consts::{FRAC_PI_2, PI};
use std::rc::Rc;

use gtk4::DrawingArea;
use gtk4::cairo::{Context, Error, FontSlant, FontWeight};
use gtk4::prelude::*;

/// How many samples a strip shows: twenty seconds at five a second. Until there are so many, those
/// that there are fill its width.
pub const SAMPLES: usize = 100;

/// Samples in a second.
const PER_SECOND: usize = 5;

/// The least that a strip can be read in.
const WIDTH: i32 = 150;
const HEIGHT: i32 = 84;

const MARGIN: f64 = 10.0;
const HEAD: f64 = 36.0;

/// How values map to heights.
#[derive(Clone, Copy, Debug)]
pub enum Scale {
    /// From zero to this.
    Linear(f64),
    /// Logarithmic, between these.
    Log(f64, f64),
}

impl Scale {
    /// Between 0 and 1.
    fn height(self, value: f64) -> f64 {
        let height = match self {
            Self::Linear(max) => value / max,
            Self::Log(min, max) => (value.max(min) / min).log10() / (max / min).log10(),
        };
        height.clamp(0.0, 1.0)
    }

    /// Where the grid lines are, and their labels.
    fn lines(self) -> Vec<(f64, String)> {
        match self {
            Self::Linear(max) => vec![(max / 2.0, short(max / 2.0)), (max, short(max))],
            Self::Log(min, max) => {
                let decades = (max / min).log10().round() as i32;
                let step = if decades > 3 { 2 } else { 1 };
                let decade = |n: i32| min * 10_f64.powi(n);
                (0..=decades)
                    .filter(|n| n % step == 0)
                    .map(|n| (decade(n), short(decade(n))))
                    .collect()
            }
        }
    }
}

/// 1500 is `1.5 k`.
pub fn short(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e4 => (v / 1e3, " k"),
        v => (v, ""),
    };
    if value < 10.0 && value.fract() > 0.05 {
        format!("{value:.1}{unit}")
    } else {
        format!("{value:.0}{unit}")
    }
}

/// One chart.
#[derive(Clone, Debug)]
pub struct Strip {
    area: DrawingArea,
    data: Rc<RefCell<Data>>,
}

#[derive(Debug)]
struct Data {
    title: &'static str,
    unit: &'static str,
    scale: Scale,
    colour: (f64, f64, f64),
    /// The value, and whether a dialog was open.
    samples: VecDeque<(Option<f64>, bool)>,
}

impl Strip {
    /// An empty chart in this area.
    pub fn new(
        area: &DrawingArea,
        title: &'static str,
        unit: &'static str,
        scale: Scale,
        colour: (f64, f64, f64),
    ) -> Self {
        let samples = VecDeque::with_capacity(SAMPLES);
        let data = Rc::new(RefCell::new(Data { title, unit, scale, colour, samples }));
        area.set_content_width(WIDTH);
        area.set_content_height(HEIGHT);
        area.set_hexpand(true);
        area.set_vexpand(true);
        let drawn = data.clone();
        area.set_draw_func(move |area, cr, width, height| {
            let ink = area.style_context().color();
            // The surface remembers an error, and there is nothing else to do about one.
            let _ = draw(&drawn.borrow(), &ink, cr, width.into(), height.into());
        });
        Self { area: area.clone(), data }
    }

    /// Adds a sample and requests a redraw. `None` is a gap in the line.
    pub fn push(&self, value: Option<f64>, in_dialog: bool) {
        let mut data = self.data.borrow_mut();
        if data.samples.len() == SAMPLES {
            data.samples.pop_front();
        }
        data.samples.push_back((value, in_dialog));
        self.area.queue_draw();
    }

    /// Puts the value into the tooltip, which GTK also makes the accessible description.
    pub fn describe(&self) {
        let text = format!("now {}", self.data.borrow().now());
        self.area.set_tooltip_text(Some(&text));
    }
}

impl Data {
    fn now(&self) -> String {
        match self.samples.back() {
            Some((Some(value), _)) => format!("{} {}", short(*value), self.unit),
            _ => "\u{2013}".to_owned(),
        }
    }

    /// How much time the strip shows.
    fn span(&self) -> String {
        format!("last {} s", self.samples.len().div_ceil(PER_SECOND))
    }
}

fn draw(
    data: &Data,
    text: &gtk4::gdk::RGBA,
    cr: &Context,
    width: f64,
    height: f64,
) -> Result<(), Error> {
    let ink = |alpha: f64| {
        cr.set_source_rgba(text.red().into(), text.green().into(), text.blue().into(), alpha);
    };
    rounded(cr, width, height, 8.0);
    ink(0.05);
    cr.fill()?;
    cr.select_font_face("sans-serif", FontSlant::Normal, FontWeight::Normal);
    cr.set_font_size(11.5);
    ink(0.75);
    cr.move_to(MARGIN, 20.0);
    cr.show_text(data.title)?;
    cr.select_font_face("sans-serif", FontSlant::Normal, FontWeight::Bold);
    let now = data.now();
    let extent = cr.text_extents(&now)?;
    ink(0.95);
    cr.move_to(width - MARGIN - extent.x_advance(), 20.0);
    cr.show_text(&now)?;

    let (left, right) = (MARGIN, width - MARGIN);
    let (top, bottom) = (HEAD, height - MARGIN);
    let step = (right - left) / data.samples.len().saturating_sub(1).max(1) as f64;
    let x = |i: usize| left + step * i as f64;
    let y = |value: f64| bottom - (bottom - top) * data.scale.height(value);

    // Where a dialog was open.
    ink(0.08);
    for (i, (_, in_dialog)) in data.samples.iter().enumerate() {
        if *in_dialog {
            let (from, to) = (x(i) - step / 2.0, x(i) + step / 2.0);
            cr.rectangle(from.max(left), top, to.min(right) - from.max(left), bottom - top);
        }
    }
    cr.fill()?;

    cr.select_font_face("sans-serif", FontSlant::Normal, FontWeight::Normal);
    cr.set_font_size(9.0);
    cr.set_line_width(1.0);
    for (value, name) in data.scale.lines() {
        let at = y(value).round() + 0.5;
        ink(0.12);
        cr.move_to(left, at);
        cr.line_to(right, at);
        cr.stroke()?;
        ink(0.45);
        cr.move_to(left, at - 2.0);
        cr.show_text(&name)?;
    }
    let span = data.span();
    cr.move_to(right - cr.text_extents(&span)?.x_advance(), top - 2.0);
    cr.show_text(&span)?;

    let (red, green, blue) = data.colour;
    cr.set_line_width(1.8);
    let points: Vec<_> = data.samples.iter().enumerate().collect();
    for run in points.split(|(_, (value, _))| value.is_none()) {
        let line = run.iter().filter_map(|(i, (value, _))| Some((x(*i), y((*value)?))));
        let line: Vec<(f64, f64)> = line.collect();
        let (Some(start), Some(end)) = (line.first(), line.last()) else { continue };
        // Text leaves a current point behind.
        cr.new_path();
        line.iter().for_each(|(x, y)| cr.line_to(*x, *y));
        cr.set_source_rgb(red, green, blue);
        cr.stroke_preserve()?;
        cr.line_to(end.0, bottom);
        cr.line_to(start.0, bottom);
        cr.close_path();
        cr.set_source_rgba(red, green, blue, 0.18);
        cr.fill()?;
    }
    Ok(())
}

fn rounded(cr: &Context, width: f64, height: f64, radius: f64) {
    cr.new_sub_path();
    cr.arc(width - radius, radius, radius, -FRAC_PI_2, 0.0);
    cr.arc(width - radius, height - radius, radius, 0.0, FRAC_PI_2);
    cr.arc(radius, height - radius, radius, FRAC_PI_2, PI);
    cr.arc(radius, radius, radius, PI, PI + FRAC_PI_2);
    cr.close_path();
}

#[cfg(test)]
mod tests {
    use gtk4::cairo::{Format, ImageSurface};
    use gtk4::gdk::RGBA;

    use super::*;

    /// The columns of a drawn strip in which its line is, from the first to the last.
    fn columns(n: usize) -> (i32, i32) {
        let samples = (0..n).map(|_| (Some(50.0), false)).collect();
        let (title, unit, scale) = ("Processor", "%", Scale::Linear(100.0));
        let data = Data { title, unit, scale, colour: (1.0, 0.0, 0.0), samples };
        let (width, height) = (WIDTH, HEIGHT);
        let mut surface = ImageSurface::create(Format::ARgb32, width, height).expect("a surface");
        let cr = Context::new(&surface).expect("a context");
        draw(&data, &RGBA::BLACK, &cr, width.into(), height.into()).expect("it is drawn");
        drop(cr);
        let stride = surface.stride();
        let pixels = surface.data().expect("the pixels");
        // Blue, green, red: only the line is red.
        let is_red = |x: i32, y: i32| {
            let at = (y * stride + x * 4) as usize;
            pixels[at + 2] > 200 && pixels[at + 1] < 60
        };
        let red = |x: &i32| (0..height).any(|y| is_red(*x, y));
        let columns: Vec<i32> = (0..width).filter(red).collect();
        (*columns.first().expect("a line"), *columns.last().expect("a line"))
    }

    #[test]
    fn the_samples_fill_the_width_from_the_second_on() {
        let (left, right) = (MARGIN as i32, WIDTH - MARGIN as i32 - 1);
        for n in [2, 3, 10, SAMPLES - 1, SAMPLES] {
            assert_eq!(columns(n), (left, right), "{n} samples");
        }
    }

    #[test]
    fn a_strip_says_how_much_time_it_shows() {
        let strip = |n| Data {
            title: "",
            unit: "",
            scale: Scale::Linear(1.0),
            colour: (0.0, 0.0, 0.0),
            samples: (0..n).map(|_| (None, false)).collect(),
        };
        assert_eq!(strip(1).span(), "last 1 s");
        assert_eq!(strip(12).span(), "last 3 s");
        assert_eq!(strip(SAMPLES).span(), "last 20 s");
    }

    #[test]
    fn a_logarithmic_scale_shows_small_and_large_values() {
        let scale = Scale::Log(1.0, 1e6);
        assert_eq!(scale.height(1.0), 0.0);
        assert_eq!(scale.height(0.0), 0.0);
        assert!((scale.height(1000.0) - 0.5).abs() < 1e-9);
        assert_eq!(scale.height(1e9), 1.0);
    }

    #[test]
    fn numbers_are_short_enough_for_a_chart() {
        assert_eq!(short(0.0), "0");
        assert_eq!(short(2.5), "2.5");
        assert_eq!(short(250.0), "250");
        assert_eq!(short(12_340.0), "12 k");
        assert_eq!(short(1_234_000.0), "1.2 M");
    }
}
