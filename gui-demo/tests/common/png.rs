//! The screen of the X server as PNG.
//!
//! Xvfb keeps its screen in a file in the format of `xwd`: a header of big-endian words, the colour
//! map, and the pixels (`XWDFile.h`).

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Bytes of an entry of the colour map.
const COLOUR: usize = 12;

/// Writes it.
pub fn write(xwd: &[u8], file: &Path) {
    let word = |i: usize| {
        let bytes = xwd[i * 4..i * 4 + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes) as usize
    };
    let (header, width, height, line, colours) = (word(0), word(4), word(5), word(12), word(19));
    let start = header + colours * COLOUR;
    let mut pixels = Vec::with_capacity(width * height * 3);
    for row in xwd[start..].chunks(line).take(height) {
        // Blue, green, red, and a byte of nothing.
        pixels.extend(row.chunks(4).take(width).flat_map(|p| [p[2], p[1], p[0]]));
    }
    let file = BufWriter::new(File::create(file).expect("a file for the picture"));
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().expect("the picture is begun");
    writer.write_image_data(&pixels).expect("the picture is written");
}
